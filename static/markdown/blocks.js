/**
 * The blocks of a text: quotes, lists, and what stands in them.
 *
 * It is given the text line by line. A line is begun only when its kind is decided, so nothing is ever taken
 * back: a block that is sealed is never touched again, and the open ones only grow.
 */

import { Line } from "./line.js";
import { Heading, Paragraph } from "./leaves.js";
import { Table, tableHead } from "./table.js";
import { FOREIGN, Fence, IndentedCode, LAST, MathBlock, TAKEN } from "./verbatim.js";

/** The most quotes, lists and items in one another. Without it, a reply of `>` alone would overflow the stack. */
const NESTING_LIMIT = 32;
/** The most marks at the start of a line. A longer line of marks alone is a paragraph. */
const MARKS_LIMIT = 1_000;
const CODE_INDENT = 4;

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

/**
 * @typedef {object} Container
 * @property {"root"|"quote"|"list"|"item"} kind
 * @property {Element} element
 * @property {number} childEnd The last line of its last block; 0 without one.
 * @property {string} [mark] Of a list: what its items begin with.
 * @property {number} [offset] Of an item: how far its blocks are indented.
 */

/** Whether the kind of a line is still open after its first characters. */
export function isUndecided(start) {
  return start.length <= MARKS_LIMIT && UNDECIDED.some((pattern) => pattern.test(start));
}

export class Blocks {
  #context;
  /** @type {Container[]} From the outermost to the innermost. */
  #open;
  /** The block in the innermost one that is not sealed. */
  #leaf = null;
  #number = 0;

  /**
   * @param {Element} element
   * @param {import("./patch.js").Context} context
   */
  constructor(element, context) {
    this.#context = context;
    this.#open = [{ kind: "root", element, childEnd: 0 }];
  }

  /**
   * Begins a line.
   *
   * @param {string} text Enough of it to decide its kind.
   */
  startLine(text) {
    this.#number += 1;
    if (text.length > MARKS_LIMIT && isUndecided(text.slice(0, MARKS_LIMIT))) this.#addMarks(text);
    else this.#start(new Line(text));
  }

  /** Adds to the line. */
  add(text) {
    this.#leaf?.add(text);
  }

  /** Ends the line. */
  endLine() {
    if (this.#leaf?.endLine?.()) this.#sealLeaf();
  }

  /** Shows the text so far. */
  show() {
    this.#leaf?.show();
  }

  /** Seals all blocks. */
  seal() {
    this.#closeTo(1);
  }

  #start(line) {
    let depth = 1;
    while (depth < this.#open.length && goesOn(this.#open[depth], line)) depth += 1;
    const isInside = depth === this.#open.length;

    if (isInside && this.#leaf?.kind === "verbatim") {
      const outcome = this.#leaf.take(line);
      if (outcome === TAKEN || outcome === LAST) this.#count();
      if (outcome === LAST) this.#sealLeaf();
      if (outcome !== FOREIGN) return;
    }
    if (line.isBlank) {
      this.#closeTo(depth, "list");
      return this.#countBlank();
    }

    let paragraph = isInside && this.#leaf?.kind === "paragraph" ? this.#leaf : null;
    while (this.#startContainer(line, depth, paragraph)) {
      depth = this.#open.length;
      paragraph = null;
      // An item without words has no block yet.
      if (line.isBlank) return this.#count(1);
    }
    if (!this.#startLeaf(line, depth, paragraph)) this.#addText(line.words, depth, isInside);
    this.#count();
  }

  #addText(words, depth, isInside) {
    // Without its quote or indentation, a line still goes on with a paragraph.
    const goesOn = this.#leaf?.kind === "paragraph" || (isInside && this.#leaf?.kind === "table");
    if (!goesOn) this.#place(depth, (parent) => this.#paragraph(parent));
    this.#leaf.addLine(words);
  }

  #paragraph({ kind, element, childEnd }) {
    return new Paragraph(element, this.#context, kind === "item" && childEnd === 0);
  }

  /**
   * Starts a quote or an item.
   *
   * @returns {boolean} Whether the line begins with the mark of one.
   */
  #startContainer(line, depth, paragraph) {
    if (line.indent >= CODE_INDENT || this.#open.length >= NESTING_LIMIT) return false;
    const { words } = line;
    if (words.startsWith(">")) {
      this.#closeTo(depth);
      this.#push("quote", "blockquote");
      line.skipMark(1);
      line.skipColumns(1);
      return true;
    }
    const [marker, bullet, number, delimiter] = MARKER.exec(words) ?? [];
    if (!marker || RULE.test(words) || (paragraph && tableHead(paragraph.line, words))) return false;
    if (paragraph && (number ?? "1") * 1 !== 1) return false;
    if (paragraph && words.slice(marker.length).trim() === "") return false;
    this.#startItem(line, depth, marker.length, bullet ?? delimiter, number);
    return true;
  }

  #startItem(line, depth, length, mark, number) {
    this.#closeTo(depth, "list");
    const indent = line.indent;
    line.skipMark(length);
    const spaces = line.isBlank || line.indent > CODE_INDENT ? 1 : line.indent;
    line.skipColumns(spaces);
    if (this.#top.kind === "list" && this.#top.mark !== mark) this.#open.pop();
    if (this.#top.kind !== "list") {
      const list = this.#push("list", number === undefined ? "ul" : "ol");
      list.mark = mark;
      if (number !== undefined && Number(number) !== 1) list.element.setAttribute("start", Number(number));
    }
    this.#push("item", "li").offset = indent + length + spaces;
  }

  /**
   * Starts a block without blocks in it, other than a paragraph.
   *
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
      this.#place(depth, ({ element }) => new Fence(element, ...fence));
      return true;
    }
    const mathEnd = MathBlock.opened(words);
    if (mathEnd) {
      this.#place(depth, ({ element }) => new MathBlock(element, mathEnd));
      return true;
    }
    if (paragraph && this.#goOnOtherwise(paragraph, words)) return true;
    if (!RULE.test(words)) return false;
    this.#place(depth, ({ element }) => (element.append(document.createElement("hr")), null));
    return true;
  }

  /** Makes a paragraph a heading or the head of a table, if the next line says so. */
  #goOnOtherwise(paragraph, words) {
    const alignments = tableHead(paragraph.line, words);
    if (alignments) {
      const head = paragraph.line;
      paragraph.sealWithoutLastLine();
      this.#leaf = new Table(this.#top.element, this.#context, head, alignments);
      return true;
    }
    const underline = UNDERLINE.exec(words);
    if (!underline || !paragraph.becomeHeading(underline[1][0] === "=" ? 1 : 2)) return false;
    this.#leaf = null;
    return true;
  }

  /** Adds a line that begins with more marks than anyone writes, as text. */
  #addMarks(text) {
    const isVerbatim = this.#open.length === 1 && this.#leaf?.kind === "verbatim";
    if (!isVerbatim && this.#leaf?.kind !== "paragraph") this.#place(1, (parent) => this.#paragraph(parent));
    this.#leaf.addLine(isVerbatim ? text : text.trimStart());
    this.#count();
  }

  /** Puts a leaf into the innermost container that the line goes on with. */
  #place(depth, make) {
    this.#closeTo(depth);
    this.#adopt();
    this.#leaf = make(this.#top);
    return this.#leaf;
  }

  #push(kind, name) {
    this.#adopt();
    const element = document.createElement(name);
    if (kind !== "list") element.dir = "auto";
    this.#top.element.append(element);
    const container = { kind, element, childEnd: 0 };
    this.#open.push(container);
    return container;
  }

  /** A list is loose if there is a blank line between its items, or between the blocks of one. */
  #adopt() {
    const parent = this.#top;
    const isApart = parent.childEnd > 0 && parent.childEnd < this.#number - 1;
    const list = parent.kind === "item" ? this.#open.at(-2) : parent;
    if (isApart && list.kind === "list") list.element.className = "loose";
  }

  /** Notes that the open containers reach to this line. `empty`: how many of the innermost have no block. */
  #count(empty = 0) {
    for (const container of this.#open.slice(0, this.#open.length - empty)) container.childEnd = this.#number;
  }

  /** A blank line is in a quote if it has the quote's mark, but in nothing else. */
  #countBlank() {
    const quote = this.#open.map(({ kind }) => kind).lastIndexOf("quote");
    if (quote > 0) this.#count(this.#open.length - quote);
  }

  /** Seals all blocks from a depth on, and a list that does not go on with an item. */
  #closeTo(depth, next = "block") {
    this.#sealLeaf();
    this.#open.length = depth;
    if (this.#top.kind === "list" && next !== "list") this.#open.pop();
  }

  #sealLeaf() {
    this.#leaf?.seal();
    this.#leaf = null;
  }

  get #top() {
    return this.#open.at(-1);
  }
}

/** Whether a container goes on in a line; passes over its mark. */
function goesOn(container, line) {
  switch (container.kind) {
    case "quote":
      if (line.indent >= CODE_INDENT || !line.words.startsWith(">")) return false;
      line.skipMark(1);
      line.skipColumns(1);
      return true;
    case "item":
      if (line.isBlank ? container.childEnd === 0 : line.indent < container.offset) return false;
      line.skipColumns(line.isBlank ? Infinity : container.offset);
      return true;
    default:
      return true;
  }
}
