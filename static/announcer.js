/**
 * Speaks to screen readers: states and whole replies, never fragments. It is the only live region besides
 * problems, so the transcript is not read while it grows.
 */

import { isBlank } from "./conversation.js";
import { find, make } from "./dom.js";
import { spoken } from "./markdown/speech.js";
import { words } from "./words.js";

const ANNOUNCEMENT_TTL_MS = 30_000;
const ANNOUNCED_CHARS_LIMIT = 600;
/** Marks make a text longer than what is spoken of it. */
const RENDERED_CHARS_LIMIT = 4 * ANNOUNCED_CHARS_LIMIT;
const ANNOUNCE_LOSS_AFTER_MS = 5_000;

/** The voice of the page. */
export class Announcer {
  #region = find("#announcer", HTMLElement);
  /** @type {number|undefined} */
  #lossTimer;
  #saidLost = false;

  /**
   * Lets a screen reader speak. The page shows it elsewhere, so it is removed again.
   *
   * @param {string} said
   */
  say(said) {
    const line = make("p", {}, said);
    this.#region.append(line);
    setTimeout(() => line.remove(), ANNOUNCEMENT_TTL_MS);
  }

  /**
   * Announces an end: the outcome, then the text, of a long one its beginning.
   *
   * @param {string} outcome
   * @param {string} text
   */
  end(outcome, text) {
    this.connection(true);
    this.say(isBlank(text) ? outcome : `${outcome}. ${spokenText(text)}`);
  }

  /**
   * Announces a lost connection only if it stays lost, so that an unstable one does not flood a screen reader.
   *
   * @param {boolean} connected
   */
  connection(connected) {
    if (connected) {
      clearTimeout(this.#lossTimer);
      this.#lossTimer = undefined;
      if (this.#saidLost) this.say(words.announce.reconnected);
      this.#saidLost = false;
      return;
    }
    this.#lossTimer ??= setTimeout(() => {
      this.#saidLost = true;
      this.say(words.announce.reconnecting);
    }, ANNOUNCE_LOSS_AFTER_MS);
  }
}

/**
 * A reply as it should be spoken: as it is rendered, and not longer than one listens.
 *
 * @param {string} text
 */
export function spokenText(text) {
  const said = spoken(text.slice(0, RENDERED_CHARS_LIMIT));
  if (said.length <= ANNOUNCED_CHARS_LIMIT) return said;
  const cut = said.slice(0, ANNOUNCED_CHARS_LIMIT);
  const sentences = /^[^]*[.!?…](?=\s)/.exec(cut)?.[0];
  // Whole sentences; of a very long one whole words, and never half of a surrogate pair.
  return `${sentences ?? `${cut.slice(0, Math.max(cut.lastIndexOf(" "), cut.lastIndexOf("\n"), 1))} …`} ${words.announce.rest}`;
}
