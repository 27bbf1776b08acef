/** The blocks whose text is kept as it is: fenced code, indented code, and math. */

import { decode } from "./characters.js";
import { codeBlock } from "./code-block.js";

const CODE_INDENT = 4;
const FENCE = /^(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const CLOSING_FENCE = /^(`{3,}|~{3,})[ \t]*$/;
const MATH = /^(\$\$|\\\[)[ \t]*$/;

/**
 * What a block makes of a line: it is in the block, it is blank and may be in it, it ends the block, or it is
 * not its own.
 */
export const TAKEN = "taken";
export const HELD = "held";
export const LAST = "last";
export const FOREIGN = "foreign";

class Verbatim {
  kind = /** @type {const} */ ("verbatim");
  #text;
  #added = "";
  #isInLine = false;

  /**
   * @param {Element} parent
   * @param {string} language
   */
  constructor(parent, language) {
    const { block, text } = codeBlock(language);
    this.#text = text;
    parent.append(block);
  }

  /** @param {string} text */
  addLine(text) {
    this.#isInLine = true;
    this.add(text);
  }

  /** @param {string} text */
  add(text) {
    this.#added += text;
  }

  /** @returns {boolean} Whether the block ends with its line. */
  endLine() {
    // The line that opens the block is no part of it.
    if (this.#isInLine) this.#added += "\n";
    this.#isInLine = false;
    return false;
  }

  show() {
    if (this.#added !== "") this.#text.appendData(this.#added);
    this.#added = "";
  }

  seal() {
    this.show();
  }
}

/** @typedef {{mark: string, info: string, indent: number}} Opened The line that opens a fence. */

/** Code between lines of backticks or tildes. */
export class Fence extends Verbatim {
  #mark;
  #indent;

  /**
   * @param {Element} parent
   * @param {Opened} opened
   */
  constructor(parent, { mark, info, indent }) {
    super(parent, decode(info.trim().split(/\s/)[0] ?? ""));
    this.#mark = mark;
    this.#indent = indent;
  }

  /**
   * The fence that a line opens.
   *
   * @param {string} words
   * @param {number} indent
   * @returns {Opened|null}
   */
  static opened(words, indent) {
    const [, ticks, ticksInfo = "", tildes, tildesInfo = ""] = FENCE.exec(words) ?? [];
    if (ticks) return { mark: ticks, info: ticksInfo, indent };
    return tildes ? { mark: tildes, info: tildesInfo, indent } : null;
  }

  /** @param {import("./line.js").Line} line */
  take(line) {
    const closing = line.indent < CODE_INDENT && CLOSING_FENCE.exec(line.words)?.[1];
    if (closing && closing.startsWith(this.#mark)) return LAST;
    line.skipColumns(this.#indent);
    this.addLine(line.rest);
    return TAKEN;
  }
}

/** Code that is indented by four columns. */
export class IndentedCode extends Verbatim {
  /** Blank lines, which belong to the code only if more of it follows. */
  #blank = "";

  /** @param {Element} parent */
  constructor(parent) {
    super(parent, "");
  }

  /** @param {import("./line.js").Line} line */
  take(line) {
    if (!line.isBlank && line.indent < CODE_INDENT) return FOREIGN;
    line.skipColumns(CODE_INDENT);
    if (line.isBlank) {
      this.#blank += `${line.rest}\n`;
      return HELD;
    }
    this.addLine(this.#blank + line.rest);
    this.#blank = "";
    return TAKEN;
  }
}

/** Math on lines of its own, between `$$` and `$$` or `\[` and `\]`. A blank line also ends it. */
export class MathBlock extends Verbatim {
  #end;

  /**
   * @param {Element} parent
   * @param {string} end The line that ends it.
   */
  constructor(parent, end) {
    super(parent, "math");
    this.#end = end;
  }

  /**
   * What ends the math that a line opens.
   *
   * @param {string} words
   * @returns {string|null}
   */
  static opened(words) {
    const mark = MATH.exec(words)?.[1];
    return mark ? (mark === "$$" ? "$$" : "\\]") : null;
  }

  /** @param {import("./line.js").Line} line */
  take(line) {
    if (line.isBlank || line.words.trimEnd() === this.#end) return LAST;
    this.addLine(line.rest);
    return TAKEN;
  }
}
