/**
 * The blocks of a text: quotes, lists, and what stands in them.
 *
 * It is given the text line by line. A line is begun only when its kind is decided, so nothing is ever taken
 * back: a block that is sealed is never touched again, and the open ones only grow.
 */

import { CODE_INDENT, Containers } from "./containers.js";
import { Line } from "./line.js";
import { Heading, Paragraph } from "./leaves.js";
import { Table, tableHead } from "./table.js";
import { FOREIGN, Fence, IndentedCode, LAST, MathBlock, TAKEN } from "./verbatim.js";

/** The most marks at the start of a line. A longer line of marks alone is a paragraph. */
const MARKS_LIMIT = 1_000;

/** The start of a line whose kind is not decided: marks alone, an open fence, or math. */
const UNDECIDED = [
  /^(?:[-=*_+#>~`|: \t]|\d{1,9}(?:[.)](?:[ \t]|$)|$))*$/,
  /^(?:[-+*># \t]|\d{1,9}[.)])*(?:`{3,}[^`]*|~{3,}.*)$/,
  /^(?:[-+*># \t]|\d{1,9}[.)])*(?:\$\$?|\\[[\]]?)[ \t]*$/,
];

const HEADING = /^(#{1,6})(?:[ \t]|$)/;
const UNDERLINE = /^(=+|-+)[ \t]*$/;
const RULE = /^(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$/;
const MARKER = /^(?:([-+*])|(\d{1,9})([.)]))(?=[ \t]|$)/;

/** @typedef {Paragraph|Heading|Table|Fence|IndentedCode|MathBlock} Leaf A block without blocks in it. */

/**
 * Whether the kind of a line is still open after its first characters.
 *
 * @param {string} start
 */
export function isUndecided(start) {
  return start.length <= MARKS_LIMIT && UNDECIDED.some((pattern) => pattern.test(start));
}

export class Blocks {
  #context;
  #containers;
  /** The block in the innermost one that is not sealed. @type {Leaf|null} */
  #leaf = null;

  /**
   * @param {Element} element
   * @param {import("./patch.js").Context} context
   */
  constructor(element, context) {
    this.#context = context;
    this.#containers = new Containers(element);
  }

  /**
   * Begins a line.
   *
   * @param {string} text Enough of it to decide its kind.
   */
  startLine(text) {
    this.#containers.startLine();
    if (text.length > MARKS_LIMIT && isUndecided(text.slice(0, MARKS_LIMIT))) this.#addMarks(text);
    else this.#start(new Line(text));
  }

  /**
   * Adds to the line.
   *
   * @param {string} text
   */
  add(text) {
    this.#leaf?.add(text);
  }

  /** Ends the line. */
  endLine() {
    if (this.#leaf?.endLine()) this.#sealLeaf();
  }

  /** Shows the text so far. */
  show() {
    this.#leaf?.show();
  }

  /** Seals all blocks. */
  seal() {
    this.#closeTo(1);
  }

  /** @param {Line} line */
  #start(line) {
    const containers = this.#containers;
    let depth = containers.match(line);
    const isInside = depth === containers.depth;

    if (isInside && this.#leaf?.kind === "verbatim") {
      const outcome = this.#leaf.take(line);
      if (outcome === TAKEN || outcome === LAST) containers.reach();
      if (outcome === LAST) this.#sealLeaf();
      if (outcome !== FOREIGN) return;
    }
    if (line.isBlank) {
      this.#closeTo(depth, "list");
      return containers.reachQuote();
    }

    let paragraph = isInside && this.#leaf?.kind === "paragraph" ? this.#leaf : null;
    while (this.#startContainer(line, depth, paragraph)) {
      depth = containers.depth;
      paragraph = null;
      // An item without words has no block yet.
      if (line.isBlank) return containers.reach(1);
    }
    if (!this.#startLeaf(line, depth, paragraph)) this.#addText(line.words, depth, isInside);
    containers.reach();
  }

  /**
   * @param {string} words
   * @param {number} depth
   * @param {boolean} isInside Whether the line goes on with all open containers.
   */
  #addText(words, depth, isInside) {
    const leaf = this.#leaf;
    // Without its quote or indentation, a line still goes on with a paragraph.
    const goesOn = leaf?.kind === "paragraph" || (isInside && leaf?.kind === "table");
    (goesOn ? leaf : this.#placeParagraph(depth)).addLine(words);
  }

  /** @param {number} depth */
  #placeParagraph(depth) {
    return this.#place(depth, ({ kind, element, childEnd }) => new Paragraph(element, this.#context, kind === "item" && childEnd === 0));
  }

  /**
   * Starts a quote or an item.
   *
   * @param {Line} line
   * @param {number} depth
   * @param {Paragraph|null} paragraph That the line may go on with.
   * @returns {boolean} Whether the line begins with the mark of one.
   */
  #startContainer(line, depth, paragraph) {
    if (line.indent >= CODE_INDENT || this.#containers.isFull) return false;
    const { words } = line;
    if (words.startsWith(">")) {
      this.#closeTo(depth);
      this.#containers.push("quote", "blockquote");
      line.skipMark(1);
      line.skipColumns(1);
      return true;
    }
    const [marker, bullet, number, delimiter] = MARKER.exec(words) ?? [];
    if (!marker || RULE.test(words) || (paragraph && tableHead(paragraph.line, words))) return false;
    if (paragraph && Number(number ?? 1) !== 1) return false;
    if (paragraph && words.slice(marker.length).trim() === "") return false;
    this.#startItem(line, depth, marker, bullet ?? delimiter ?? "", number);
    return true;
  }

  /**
   * @param {Line} line
   * @param {number} depth
   * @param {string} marker
   * @param {string} mark What all items of the list have.
   * @param {string|undefined} number
   */
  #startItem(line, depth, marker, mark, number) {
    this.#closeTo(depth, "list");
    const indent = line.indent;
    line.skipMark(marker.length);
    const spaces = line.isBlank || line.indent > CODE_INDENT ? 1 : line.indent;
    line.skipColumns(spaces);
    this.#containers.pushItem(mark, number === undefined ? null : Number(number), indent + marker.length + spaces);
  }

  /**
   * Starts a block without blocks in it, other than a paragraph.
   *
   * @param {Line} line
   * @param {number} depth
   * @param {Paragraph|null} paragraph That the line may go on with.
   * @returns {boolean} Whether the line is one.
   */
  #startLeaf(line, depth, paragraph) {
    const { indent, words } = line;
    if (indent >= CODE_INDENT) {
      if (this.#leaf?.kind === "paragraph") return false;
      this.#place(depth, ({ element }) => new IndentedCode(element)).take(line);
      return true;
    }
    const heading = HEADING.exec(words);
    if (heading) {
      const level = heading[1].length;
      this.#place(depth, ({ element }) => new Heading(element, this.#context, level)).add(words.slice(level).trimStart());
      return true;
    }
    const fence = Fence.opened(words, indent);
    if (fence) {
      this.#place(depth, ({ element }) => new Fence(element, fence));
      return true;
    }
    const mathEnd = MathBlock.opened(words);
    if (mathEnd) {
      this.#place(depth, ({ element }) => new MathBlock(element, mathEnd));
      return true;
    }
    if (paragraph && this.#goOnOtherwise(paragraph, words)) return true;
    if (!RULE.test(words)) return false;
    this.#prepare(depth).element.append(document.createElement("hr"));
    return true;
  }

  /**
   * Makes a paragraph a heading or the head of a table, if the next line says so.
   *
   * @param {Paragraph} paragraph
   * @param {string} words
   */
  #goOnOtherwise(paragraph, words) {
    const alignments = tableHead(paragraph.line, words);
    if (alignments) {
      const head = paragraph.line;
      paragraph.sealWithoutLastLine();
      this.#leaf = new Table(this.#containers.top.element, this.#context, head, alignments);
      return true;
    }
    const underline = UNDERLINE.exec(words);
    if (!underline || !paragraph.becomeHeading(words.startsWith("=") ? 1 : 2)) return false;
    this.#leaf = null;
    return true;
  }

  /**
   * Adds a line that begins with more marks than anyone writes, as text.
   *
   * @param {string} text
   */
  #addMarks(text) {
    const leaf = this.#leaf;
    if (this.#containers.depth === 1 && leaf?.kind === "verbatim") leaf.addLine(text);
    else (leaf?.kind === "paragraph" ? leaf : this.#placeParagraph(1)).addLine(text.trimStart());
    this.#containers.reach();
  }

  /**
   * Puts a leaf into the innermost container that the line goes on with.
   *
   * @template {Leaf} T
   * @param {number} depth
   * @param {(parent: import("./containers.js").Container) => T} make
   * @returns {T}
   */
  #place(depth, make) {
    const leaf = make(this.#prepare(depth));
    this.#leaf = leaf;
    return leaf;
  }

  /** @param {number} depth */
  #prepare(depth) {
    this.#closeTo(depth);
    return this.#containers.adopt();
  }

  /**
   * Seals all blocks from a depth on.
   *
   * @param {number} depth
   * @param {"list"|"block"} next What comes.
   */
  #closeTo(depth, next = "block") {
    this.#sealLeaf();
    this.#containers.cut(depth, next);
  }

  #sealLeaf() {
    this.#leaf?.seal();
    this.#leaf = null;
  }
}
