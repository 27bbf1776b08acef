/** A table, which grows by rows, and each row by cells. It scrolls in itself. */

import { Prose } from "./prose.js";

const TABLE = "Table";
/** The most characters of the lines that make the head of a table. */
const HEAD_LIMIT = 1_000;
/** The most columns. */
const COLUMNS_LIMIT = 64;
const DELIMITER = /^[ \t]*(:?)-+(:?)[ \t]*$/;

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
  const columns = cellsOf(delimiters).map((cell) => DELIMITER.exec(cell));
  if (columns.includes(null) || columns.length > COLUMNS_LIMIT || cellsOf(head).length !== columns.length) return null;
  return columns.map(([, left, right]) => (left && right ? "center" : right ? "end" : left ? "start" : ""));
}

function cellsOf(line) {
  const cells = line.replace(/\\[^]/g, "__").trim().split("|");
  if (cells.length > 1 && cells[0].trim() === "") cells.shift();
  if (cells.length > 1 && cells.at(-1).trim() === "") cells.pop();
  return cells;
}

export class Table {
  kind = "table";
  #context;
  #alignments;
  #body = null;
  #element = document.createElement("table");
  /** @type {Row|null} */
  #row = null;

  constructor(parent, context, head, alignments) {
    this.#context = context;
    this.#alignments = alignments;
    const scroller = document.createElement("div");
    scroller.className = "table";
    // Without it, the keyboard could not scroll a wide table.
    scroller.tabIndex = 0;
    scroller.setAttribute("role", "region");
    scroller.setAttribute("aria-label", TABLE);
    scroller.append(this.#element);
    parent.append(scroller);
    const section = this.#section("thead");
    this.#row = new Row(section, context, "th", alignments);
    this.#row.add(head);
    this.endLine();
  }

  addLine(text) {
    this.#body ??= this.#section("tbody");
    this.#row = new Row(this.#body, this.#context, "td", this.#alignments);
    this.#row.add(text);
  }

  add(text) {
    this.#row.add(text);
  }

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

  #section(name) {
    const section = document.createElement(name);
    this.#element.append(section);
    return section;
  }
}

class Row {
  #element = document.createElement("tr");
  #context;
  #name;
  #alignments;
  #column = 0;
  /** @type {Prose|null} */
  #cell = null;
  #isEscaped = false;
  #hasBegun = false;

  constructor(section, context, name, alignments) {
    this.#context = context;
    this.#name = name;
    this.#alignments = alignments;
    section.append(this.#element);
  }

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
    const cell = document.createElement(this.#name);
    cell.dir = "auto";
    const alignment = this.#alignments[this.#column];
    if (alignment) cell.className = `align-${alignment}`;
    if (this.#name === "th") cell.setAttribute("scope", "col");
    this.#element.append(cell);
    return new Prose(cell, this.#context);
  }
}
