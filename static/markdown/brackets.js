/** Brackets in a line of text, and the links that they make. */

import { OPEN, labelAt, targetAt } from "./links.js";

/**
 * @typedef {object} Bracket
 * @property {import("./tree.js").Opening} item
 * @property {number} start Where its words begin.
 * @property {number} runs How many runs are before it.
 * @property {boolean} isActive Whether it may still begin a link.
 */

/** The `[` that have no `]` yet. */
export class Brackets {
  #definitions;
  #isOpen;
  /** @type {Bracket[]} */
  #brackets = [];
  /** Whether a later character may make a link of what has been closed. */
  mayChange = false;

  /**
   * @param {import("./links.js").Definitions} definitions
   * @param {boolean} isOpen Whether more text may come.
   */
  constructor(definitions, isOpen) {
    this.#definitions = definitions;
    this.#isOpen = isOpen;
  }

  get isEmpty() {
    return this.#brackets.length === 0;
  }

  /** @param {Bracket} bracket */
  add(bracket) {
    this.#brackets.push(bracket);
  }

  /**
   * Closes the last one. If that makes a link, its item begins it.
   *
   * @param {string} text
   * @param {number} at The index of the `]`.
   * @returns {{runs: number, end: number}|null} `end`: the index after the link.
   */
  close(text, at) {
    const opener = this.#brackets.pop();
    if (!opener?.isActive) return null;
    const target = this.#target(text, opener.start, at);
    if (!target) return null;
    opener.item.link = { destination: target.destination, title: target.title };
    // No link is in another one.
    if (!opener.item.isImage) for (const bracket of this.#brackets) bracket.isActive &&= bracket.item.isImage;
    return { runs: opener.runs, end: target.end };
  }

  /**
   * What follows a `]`: a destination, a label, or nothing.
   *
   * @param {string} text
   * @param {number} start Where the words in the brackets begin.
   * @param {number} at
   * @returns {{destination: string|null, title: string, end: number}|null}
   */
  #target(text, start, at) {
    const after = at + 1;
    if (text[after] === "(") {
      const { end, destination = null, title = "" } = targetAt(text, after);
      if (end >= 0) return { destination, title, end };
      if (end === OPEN && this.#isOpen) {
        this.mayChange = true;
        return { destination: null, title: "", end: text.length };
      }
    }
    if (text[after] === "[") {
      const { end, label } = labelAt(text, after);
      const found = label === undefined ? undefined : this.#definitions.find(label, this.#isOpen);
      if (found) return { ...found, end };
      this.mayChange ||= end === OPEN && this.#isOpen;
      // A full reference whose label is not defined is none at all.
      if (end >= 0) return null;
    }
    this.mayChange ||= after >= text.length && this.#isOpen;
    const words = text.slice(start, at);
    const found = /(?:^|[^\\])\[/.test(words) ? undefined : this.#definitions.findText(words, this.#isOpen);
    return found ? { ...found, end: text.startsWith("[]", after) ? after + 2 : after } : null;
  }
}
