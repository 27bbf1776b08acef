/**
 * Text that grows inside one element of the document.
 *
 * Only what a later character can still change is parsed again, and only nodes that differ are changed: a
 * selection, the focus and the place of the reader stay.
 */

import { characterBefore } from "./characters.js";
import { parse } from "./inline.js";
import { patch } from "./patch.js";

/**
 * How far emphasis, code or a link may reach, in characters. Without it, each unclosed mark would cause a
 * growing text to be parsed again and again from there.
 */
const REACH_LIMIT = 4_096;

/** The text of one block or cell. */
export class Prose {
  #element;
  #context;
  /** What a later character can still change. */
  #tail = "";
  /** The character before it. */
  #before = "";
  /** The last node that is final; `null` if none is. */
  #last;
  /** How many of its characters are final, if it is text: later words go on in it. */
  #characters = 0;

  /**
   * @param {Element} element
   * @param {import("./patch.js").Context} context
   */
  constructor(element, context) {
    this.#element = element;
    this.#context = context;
    this.#last = element.lastChild;
  }

  /** @param {string} text */
  add(text) {
    const isFirst = this.#before === "" && this.#tail === "";
    this.#tail += isFirst ? text.replace(/^[ \t\n]+/, "") : text;
  }

  /** Shows the text so far; more may come. */
  show() {
    this.#settle();
    this.#patch(this.#parse(this.#tail, true).nodes);
  }

  /** Shows the text; no more comes. */
  seal() {
    while (this.#tail.length > REACH_LIMIT) this.#settle();
    this.#patch(this.#parse(this.#tail, false).nodes);
    this.#tail = "";
  }

  /**
   * @param {string} text
   * @param {boolean} open Whether more may come.
   */
  #parse(text, open) {
    return parse(text, { before: this.#before, open, definitions: this.#context.definitions });
  }

  /** Shows what is final, and forgets its source. */
  #settle() {
    for (;;) {
      const isLong = this.#tail.length > REACH_LIMIT;
      const { final } = this.#parse(isLong ? this.#tail.slice(0, REACH_LIMIT) : this.#tail, true);
      if (final > 0) this.#keep(final);
      else if (isLong) this.#keep(boundary(this.#tail));
      if (!isLong) return;
    }
  }

  /** @param {number} length */
  #keep(length) {
    this.#patch(this.#parse(this.#tail.slice(0, length), false).nodes);
    this.#before = characterBefore(this.#tail, length);
    this.#tail = this.#tail.slice(length);
    this.#last = this.#element.lastChild;
    this.#characters = this.#last instanceof Text ? this.#last.length : 0;
  }

  /** @param {import("./tree.js").Node[]} nodes */
  #patch(nodes) {
    patch(this.#element, nodes, this.#context, this.#last, this.#characters);
  }
}

/**
 * Where to cut a text that has no end in reach: after a word, and never within a character.
 *
 * @param {string} text
 */
function boundary(text) {
  const space = text.lastIndexOf(" ", REACH_LIMIT - 1);
  if (space > 0) return space;
  const unit = text.charCodeAt(REACH_LIMIT - 1);
  return unit >= 0xd800 && unit <= 0xdbff ? REACH_LIMIT - 1 : REACH_LIMIT;
}
