/** A table, which grows by rows, and each row by cells. It scrolls in itself. */

import { make } from "../dom.js";
import { words } from "../words.js";
import { Prose } from "./prose.js";

/** The most characters of the lines that make the head of a table. */
const HEAD_LIMIT = 1_000;
/** The most columns. */
const COLUMNS_LIMIT = 64;
const DELIMITER = /^:?-+:?$/;

/**
 * The alignment of each column, if two lines are the head of a table.
 *
 * @param {string} head
 * @param {string} delimiters
 * @returns {string[]|null}
 */
export function tableHead(head, delimiters) {
  if (head.length > HEAD_LIMIT || delimiters.length > HEAD_LIMIT) return null;
  if (!head.includes("|") || !delimiters.includes("|")) return null;
  const columns = cellsOf(delimiters);
  if (columns.length > COLUMNS_LIMIT || cellsOf(head).length !== columns.length) return null;
  return columns.every((column) => DELIMITER.test(column)) ? columns.map(alignmentOf) : null;
}

/** @param {string} delimiter */
function alignmentOf(delimiter) {
  if (delimiter.endsWith(":")) return delimiter.startsWith(":") ? "center" : "end";
  return delimiter.startsWith(":") ? "start" : "";
}

/** @param {string} line */
function cellsOf(line) {
  const bare = line.replace(/\\[^]/g, "__").trim().replace(/^\|/, "").replace(/\|$/, "");
  return bare.split("|").map((cell) => cell.trim());
}

export class Table {
  kind = /** @type {const} */ ("table");
  #context;
  #alignments;
  /** @type {Element|null} */
  #body = null;
  #element = make("table");
  /** @type {Row|null} */
  #row = null;

  /**
   * @param {Element} parent
   * @param {import("./patch.js").Context} context
   * @param {string} head The first row.
   * @param {string[]} alignments Of its columns.
   */
  constructor(parent, context, head, alignments) {
    this.#context = context;
    this.#alignments = alignments;
    // With a place in the tab order, the keyboard can scroll a wide table.
    const attributes = { class: "table", tabindex: "0", role: "region", "aria-label": words.markdown.table };
    parent.append(make("div", attributes, this.#element));
    const section = this.#section("thead");
    this.#row = new Row(section, context, "th", alignments);
    this.#row.add(head);
    this.endLine();
  }

  /** @param {string} text */
  addLine(text) {
    this.#body ??= this.#section("tbody");
    this.#row = new Row(this.#body, this.#context, "td", this.#alignments);
    this.#row.add(text);
  }

  /** @param {string} text */
  add(text) {
    this.#row?.add(text);
  }

  /** @returns {boolean} Whether the block ends with its line. */
  endLine() {
    this.#row?.seal();
    this.#row = null;
    return false;
  }

  show() {
    this.#row?.show();
  }

  seal() {
    this.#row?.seal();
  }

  /** @param {"thead"|"tbody"} name */
  #section(name) {
    const section = make(name);
    this.#element.append(section);
    return section;
  }
}

class Row {
  #element = make("tr");
  #context;
  #name;
  #alignments;
  #column = 0;
  /** @type {Prose|null} */
  #cell = null;
  #isEscaped = false;
  #hasBegun = false;

  /**
   * @param {Element} section
   * @param {import("./patch.js").Context} context
   * @param {"th"|"td"} name Of its cells.
   * @param {string[]} alignments
   */
  constructor(section, context, name, alignments) {
    this.#context = context;
    this.#name = name;
    this.#alignments = alignments;
    section.append(this.#element);
  }

  /** @param {string} text */
  add(text) {
    for (const part of text.match(/[^\\|]+|[^]/g) ?? []) {
      if (this.#isEscaped) {
        this.#isEscaped = false;
        if (part === "|" || part === "\\") {
          this.#give(part === "|" ? "|" : "\\\\");
          continue;
        }
        this.#give("\\");
      }
      if (part === "\\") this.#isEscaped = true;
      else if (part === "|") this.#endCell();
      else this.#give(part);
    }
  }

  show() {
    this.#cell?.show();
  }

  seal() {
    if (this.#isEscaped) this.#give("\\");
    this.#cell?.seal();
  }

  /** @param {string} text */
  #give(text) {
    if (this.#cell === null && text.trim() === "") return;
    this.#hasBegun = true;
    if (this.#column >= this.#alignments.length) return;
    this.#cell ??= this.#newCell();
    this.#cell.add(text);
  }

  #endCell() {
    if (this.#hasBegun) {
      if (this.#column < this.#alignments.length) (this.#cell ?? this.#newCell()).seal();
      this.#cell = null;
      this.#column += 1;
    }
    // The bar before the first cell ends none.
    this.#hasBegun = true;
  }

  #newCell() {
    const cell = make(this.#name, this.#name === "th" ? { dir: "auto", scope: "col" } : { dir: "auto" });
    const alignment = this.#alignments[this.#column];
    if (alignment) cell.className = `align-${alignment}`;
    this.#element.append(cell);
    return new Prose(cell, this.#context);
  }
}
