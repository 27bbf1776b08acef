/** The main part of the page: the transcript, its scrolling, and the composer. */

import { find } from "./dom.js";
import { remember } from "./drafts.js";
import { Composer } from "./composer.js";
import { Scroll } from "./scroll.js";
import { Transcript } from "./transcript.js";
import { make } from "./dom.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./chat.js").Chat} Chat */

/** What the chat shows itself on. */
export class Stage {
  #welcome = find("#welcome", HTMLElement);
  #scroll = new Scroll(find("#scroller", HTMLElement), find("#newest", HTMLButtonElement));
  #transcript;
  #chat;
  #hasOpened = false;

  /** @param {Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    const list = find("#transcript", HTMLElement);
    this.#transcript = new Transcript(list, chat.actions, () => this.#scroll.grew());
    this.composer = new Composer({
      submit: (prompt, edited) => chat.submit(prompt, edited),
      stop: () => chat.stop(),
      typed: (draft) => remember(chat.place, { draft }),
      last: () => chat.lastPrompt,
    });
    this.#offerSamples();
  }

  /** Where the reader is in the transcript. */
  get place() {
    return this.#transcript.newest ? this.#scroll.place : null;
  }

  clear() {
    this.#transcript.clear();
  }

  /**
   * A conversation was opened.
   *
   * @param {import("./drafts.js").Kept} kept
   * @param {boolean} hasText
   */
  opened(kept, hasText) {
    // A fast reader types before the first conversation is loaded.
    const typed = this.#hasOpened ? "" : this.composer.draft;
    this.#hasOpened = true;
    if (typed === "") this.composer.draft = kept.draft ?? "";
    if (hasText) this.#scroll.restore(kept.place ?? null);
    else this.#scroll.reset();
  }

  /** @param {boolean} toTop A reply was started: whether to bring it near the top. */
  started(toTop) {
    this.composer.clearProblem();
    const newest = this.#transcript.newest;
    if (toTop && newest) this.#scroll.toTop(newest);
  }

  /**
   * @param {import("./conversation.js").Conversation} conversation
   * @param {(exchange: Exchange) => import("./run.js").Run|undefined} runOf
   */
  show(conversation, runOf) {
    const focused = document.activeElement;
    this.#transcript.show(conversation, runOf);
    document.body.classList.toggle("watching", conversation.meta.watched === true);
    this.#welcome.hidden = this.#transcript.newest !== null;
    this.composer.keepFocus(focused);
    this.#scroll.grew();
  }

  /**
   * @param {boolean} running
   * @param {boolean} stopping
   */
  running(running, stopping) {
    this.composer.show({ running, stopping });
  }

  /** @param {Exchange} exchange */
  edit(exchange) {
    this.composer.edit(exchange);
  }

  /** @param {string} prompt */
  putBack(prompt) {
    this.composer.putBack(prompt);
  }

  /**
   * @param {string} said
   * @param {number} retryAt
   */
  problem(said, retryAt) {
    this.composer.showProblem(said, retryAt);
  }

  /** Writes pending text, since a hidden page draws no frames. */
  flush() {
    this.#transcript.flush();
  }

  #offerSamples() {
    const list = find("#samples", HTMLElement);
    for (const sample of words.samples) {
      const button = make("button", { type: "button" }, sample);
      button.addEventListener("click", () => this.#chat.submit(sample));
      list.append(make("li", {}, button));
    }
  }
}
