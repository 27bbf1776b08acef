/** The shown branch of a conversation: one item per prompt and its reply. */

import { clone, find } from "./dom.js";
import { showPrompt } from "./prompt-view.js";
import { ReplyView } from "./reply-view.js";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./conversation.js").Conversation} Conversation */

/** The prompts and replies on the page. */
export class Transcript {
  #list;
  #actions;
  #grew;
  /** @type {{exchange: Exchange, element: HTMLElement, view: ReplyView}[]} */
  #items = [];

  /**
   * @param {HTMLElement} list
   * @param {import("./reply-tools.js").Actions} actions
   * @param {() => void} grew
   */
  constructor(list, actions, grew) {
    this.#list = list;
    this.#actions = actions;
    this.#grew = grew;
  }

  /**
   * Shows a branch. Items that stay are not touched, so that a selection in them survives.
   *
   * @param {Conversation} conversation
   * @param {(exchange: Exchange) => Run|undefined} runOf
   */
  show(conversation, runOf) {
    const path = conversation.path();
    const kept = path.findIndex((exchange, index) => this.#items[index]?.exchange !== exchange);
    this.#cut(kept < 0 ? path.length : kept);
    for (const exchange of path.slice(this.#items.length)) this.#add(exchange);
    this.#items.forEach(({ exchange, view }, index) => {
      const versions = conversation.versions(exchange);
      const isNewest = index === path.length - 1 && !conversation.meta.watched;
      view.tools.showVersion(versions.indexOf(exchange) + 1, versions.length);
      const run = runOf(exchange);
      if (run && !run.hasEnded) view.attach(run);
      else if (exchange.end) view.end(isNewest);
    });
  }

  /** Removes all items. */
  clear() {
    this.#cut(0);
  }

  /** The element of the newest exchange. */
  get newest() {
    return this.#items.at(-1)?.element ?? null;
  }

  /** Writes pending text: the page is about to be hidden, where no frames are drawn. */
  flush() {
    for (const { view } of this.#items) view.flush();
  }

  /** @param {Exchange} exchange */
  #add(exchange) {
    const element = clone("#exchange-template");
    showPrompt(find(".prompt", HTMLElement, element), exchange, this.#actions.edit);
    const reply = find(".reply", HTMLElement, element);
    const view = new ReplyView(reply, exchange, this.#actions, this.#grew);
    this.#list.append(element);
    this.#items.push({ exchange, element, view });
  }

  /** @param {number} length How many items stay. */
  #cut(length) {
    for (const { element, view } of this.#items.splice(length)) {
      view.detach();
      element.remove();
    }
  }
}
