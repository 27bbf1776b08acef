/** The blocks that hold other blocks: quotes, lists and their items. Those that are open, in one another. */

/** The most quotes, lists and items in one another. Without it, a reply of `>` alone would overflow the stack. */
const NESTING_LIMIT = 32;
/** From how many columns on indented text is code. */
export const CODE_INDENT = 4;

/**
 * @typedef {object} Container
 * @property {"root"|"quote"|"list"|"item"} kind
 * @property {Element} element
 * @property {number} childEnd The last line of its last block; 0 without one.
 * @property {string} mark Of a list: what its items begin with.
 * @property {number} offset Of an item: how far its blocks are indented.
 */

export class Containers {
  /** @type {Container[]} From the outermost to the innermost. */
  #open;
  /** The number of the line. */
  #line = 0;

  /** @param {Element} element Which holds them all. */
  constructor(element) {
    this.#open = [{ kind: "root", element, childEnd: 0, mark: "", offset: 0 }];
  }

  /** How many there are. */
  get depth() {
    return this.#open.length;
  }

  get isFull() {
    return this.#open.length >= NESTING_LIMIT;
  }

  /** The innermost one. */
  get top() {
    return this.#open[this.#open.length - 1];
  }

  startLine() {
    this.#line += 1;
  }

  /**
   * Passes over the marks of the containers with which a line goes on.
   *
   * @param {import("./line.js").Line} line
   * @returns {number} How many they are.
   */
  match(line) {
    let depth = 1;
    while (depth < this.#open.length && goesOn(this.#open[depth], line)) depth += 1;
    return depth;
  }

  /**
   * Begins an item, and a list if the innermost container is not its list.
   *
   * @param {string} mark What all items of the list have.
   * @param {number|null} number
   * @param {number} offset How far the blocks of the item are indented.
   */
  pushItem(mark, number, offset) {
    if (this.top.kind === "list" && this.top.mark !== mark) this.#open.pop();
    if (this.top.kind !== "list") {
      const list = this.push("list", number === null ? "ul" : "ol");
      list.mark = mark;
      if (number !== null && number !== 1) list.element.setAttribute("start", String(number));
    }
    this.push("item", "li").offset = offset;
  }

  /**
   * @param {"quote"|"list"|"item"} kind
   * @param {string} name Of its element.
   * @returns {Container}
   */
  push(kind, name) {
    const parent = this.adopt();
    const element = document.createElement(name);
    // The items of a list have their marks on one side.
    if (kind !== "item") element.dir = "auto";
    parent.element.append(element);
    const container = { kind, element, childEnd: 0, mark: "", offset: 0 };
    this.#open.push(container);
    return container;
  }

  /**
   * Makes room for a block in the innermost one. A list is loose if there is a blank line between its items, or
   * between the blocks of one.
   */
  adopt() {
    const parent = this.top;
    const isApart = parent.childEnd > 0 && parent.childEnd < this.#line - 1;
    const list = parent.kind === "item" ? this.#open[this.#open.length - 2] : parent;
    if (isApart && list.kind === "list") list.element.className = "loose";
    return parent;
  }

  /**
   * Notes that all reach to this line.
   *
   * @param {number} empty How many of the innermost have no block.
   */
  reach(empty = 0) {
    for (const container of this.#open.slice(0, this.#open.length - empty)) container.childEnd = this.#line;
  }

  /** Notes that the quotes reach to this line, which has their marks and nothing else. */
  reachQuote() {
    const quote = this.#open.map(({ kind }) => kind).lastIndexOf("quote");
    if (quote > 0) this.reach(this.#open.length - quote);
  }

  /**
   * Closes all from a depth on, and a list that does not go on with an item.
   *
   * @param {number} depth
   * @param {"list"|"block"} next What comes.
   */
  cut(depth, next) {
    this.#open.length = depth;
    if (this.top.kind === "list" && next !== "list") this.#open.pop();
  }
}

/**
 * Whether a container goes on in a line; passes over its mark.
 *
 * @param {Container} container
 * @param {import("./line.js").Line} line
 */
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
