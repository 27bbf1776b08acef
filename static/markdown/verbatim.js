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
  kind = "verbatim";
  #text;
  #added = "";
  #isInLine = false;

  constructor(parent, language) {
    const { block, text } = codeBlock(language);
    this.#text = text;
    parent.append(block);
  }

  addLine(text) {
    this.#isInLine = true;
    this.add(text);
  }

  add(text) {
    this.#added += text;
  }

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

/** Code between lines of backticks or tildes. */
export class Fence extends Verbatim {
  #mark;
  #indent;

  constructor(parent, mark, info, indent) {
    super(parent, decode(info.trim().split(/\s/)[0]));
    this.#mark = mark;
    this.#indent = indent;
  }

  /** The arguments for a fence that a line opens, or `null`. */
  static opened(words, indent) {
    const [, ticks, ticksInfo, tildes, tildesInfo] = FENCE.exec(words) ?? [];
    return ticks || tildes ? [ticks ?? tildes, ticksInfo ?? tildesInfo, indent] : null;
  }

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

  constructor(parent) {
    super(parent, "");
  }

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

  constructor(parent, end) {
    super(parent, "math");
    this.#end = end;
  }

  /** What ends the math that a line opens, or `null`. */
  static opened(words) {
    const mark = MATH.exec(words)?.[1];
    return mark ? (mark === "$$" ? "$$" : "\\]") : null;
  }

  take(line) {
    if (line.isBlank || line.words.trimEnd() === this.#end) return LAST;
    this.addLine(line.rest);
    return TAKEN;
  }
}
