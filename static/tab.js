/** The title and icon of the tab, which tell a reader who is elsewhere how the reply is, and the heading of the page. */

import { find, write } from "./dom.js";
import { words } from "./words.js";

const TITLE_CHARS = 40;

/** @typedef {"idle"|"writing"|"done"|"failed"} State */

/** The title and icon of the tab. */
export class Tab {
  #icon = find("link[rel=icon]", HTMLLinkElement);
  #heading = find("#subject", HTMLElement);
  /** @type {State} */
  #state = "idle";
  #subject = "";

  constructor() {
    document.addEventListener("visibilitychange", () => {
      // Seen.
      if (!document.hidden && this.#state !== "writing") this.show("idle", this.#subject);
    });
  }

  /**
   * @param {State} state
   * @param {string} subject What the conversation is about.
   */
  show(state, subject) {
    const unseen = state === "writing" || document.hidden;
    this.#state = unseen ? state : "idle";
    this.#subject = subject;
    write(this.#heading, subject || words.brand);
    const short = subject.slice(0, TITLE_CHARS);
    const title = this.#state === "idle" ? short : words.title[this.#state](short);
    document.title = short === "" ? words.brand : `${title} – ${words.brand}`;
    const icon = this.#state === "idle" ? "favicon.svg" : `favicon-${this.#state}.svg`;
    if (this.#icon.getAttribute("href") !== icon) this.#icon.setAttribute("href", icon);
  }
}
