/**
 * Markdown that is shown while it is written.
 *
 * Text comes in pieces; what it means is shown at once. The document is the same however the text was cut.
 * Nothing here knows where the text comes from, and nothing below knows that it comes in pieces.
 *
 * text → `markdown/blocks.js` (lines → blocks) → `prose.js` (what grows) → `inline.js` (words) → `patch.js`
 * (the document).
 */

import { Blocks, isUndecided } from "./markdown/blocks.js";
import { Definitions, safeHref } from "./markdown/links.js";

/**
 * Shows a text inside an element.
 *
 * @param {Element} container
 * @param {object} [options]
 * @param {(destination: string) => string|null} [options.hrefOf] The URL that a link opens; `null` for none.
 * @returns {Renderer}
 */
export function createRenderer(container, { hrefOf = safeHref } = {}) {
  return new Renderer(container, hrefOf);
}

class Renderer {
  #container;
  #hrefOf;
  #blocks;
  /** The beginning of a line, while its kind is not decided. */
  #start = "";
  #isInLine = false;
  #endsWithReturn = false;

  /**
   * @param {Element} container
   * @param {(destination: string) => string|null} hrefOf
   */
  constructor(container, hrefOf) {
    this.#container = container;
    this.#hrefOf = hrefOf;
    this.#blocks = this.#clear();
  }

  /**
   * Adds text.
   *
   * @param {string} text
   */
  push(text) {
    if (text === "") return;
    // The two characters of one line end may come in two pieces.
    const from = this.#endsWithReturn && text.startsWith("\n") ? 1 : 0;
    this.#endsWithReturn = text.endsWith("\r");
    const lines = text.slice(from).replace(/\0/g, "\ufffd").split(/\r\n|\r|\n/);
    for (const [at, line] of lines.entries()) {
      if (at > 0) this.#endLine();
      if (this.#isInLine) this.#blocks.add(line);
      else this.#start += line;
    }
    if (!this.#isInLine && this.#start !== "" && !isUndecided(this.#start)) this.#startLine();
    this.#blocks.show();
  }

  /**
   * Shows another text in place of the one so far.
   *
   * @param {string} text
   */
  replace(text) {
    this.#blocks = this.#clear();
    this.push(text);
  }

  /** Tells that no more text comes. */
  end() {
    if (this.#isInLine || this.#start !== "") this.#endLine();
    this.#blocks.seal();
  }

  #clear() {
    this.#container.replaceChildren();
    this.#start = "";
    this.#isInLine = false;
    this.#endsWithReturn = false;
    return new Blocks(this.#container, { definitions: new Definitions(), hrefOf: this.#hrefOf });
  }

  #startLine() {
    this.#blocks.startLine(this.#start);
    this.#start = "";
    this.#isInLine = true;
  }

  #endLine() {
    if (!this.#isInLine) this.#startLine();
    this.#blocks.endLine();
    this.#isInLine = false;
  }
}
