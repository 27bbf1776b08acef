/**
 * The blocks whose text is parsed: paragraphs and headings.
 *
 * As every block without blocks in it, such a leaf is given lines, and more of its last line, until it is sealed.
 * `show` shows what it has so far.
 */

import { make } from "../dom.js";
import { words } from "../words.js";
import { NONE, OPEN } from "./links.js";
import { Prose } from "./prose.js";

/** The most characters of a line that is held back because it may belong to something else. */
const HELD_LIMIT = 1_000;
const TASK = /^\[([ xX])\]\s/;
const TASK_BEGINNING = /^\[(?:[ xX]\]?)?$/;
/** A reply stands under a heading of the page, so its own begin below that. */
const HEADING_OFFSET = 2;

/** A paragraph, or what turns out to be definitions of links, a heading, or the head of a table. */
export class Paragraph {
  kind = /** @type {const} */ ("paragraph");
  #parent;
  #context;
  #mayBeTask;
  #element = make("p");
  /** @type {Prose|null} */
  #prose = null;
  /** The beginning, while it may be a definition or the box of a task. */
  #front = "";
  /** The lines before the last one, and the last one. */
  #earlier = "";
  #line = "";
  /** The last line, while it may be the head of a table. */
  #held = "";

  /**
   * @param {Element} parent
   * @param {import("./patch.js").Context} context
   * @param {boolean} mayBeTask Whether it begins an item of a list.
   */
  constructor(parent, context, mayBeTask) {
    this.#parent = parent;
    this.#context = context;
    this.#mayBeTask = mayBeTask;
  }

  /** The last line. */
  get line() {
    return this.#line;
  }

  /** @param {string} text */
  addLine(text) {
    this.#release();
    const isFirst = this.#line === "" && this.#earlier === "";
    if (!isFirst) this.#earlier += `${this.#line}\n`;
    this.#line = text;
    const words = isFirst ? text : `\n${text}`;
    if (text.startsWith("|") && text.length <= HELD_LIMIT) this.#held = words;
    else this.#feed(words);
  }

  /** @param {string} text More of the last line. */
  add(text) {
    this.#line += text;
    if (this.#held === "") return this.#feed(text);
    this.#held += text;
    if (this.#held.length > HELD_LIMIT) this.#release();
  }

  /** @returns {boolean} Whether the block ends with its line. */
  endLine() {
    return false;
  }

  show() {
    this.#attach();
    this.#prose?.show();
  }

  seal() {
    this.#release();
    this.#readFront(true);
    this.#attach();
    this.#prose?.seal();
  }

  /**
   * Makes it a heading.
   *
   * @param {number} level
   * @returns {boolean} `false` if it has no words.
   */
  becomeHeading(level) {
    this.#release();
    this.#readFront(true);
    if (!this.#prose) return false;
    this.seal();
    const heading = headingElement(level);
    while (this.#element.firstChild) heading.append(this.#element.firstChild);
    this.#element.replaceWith(heading);
    return true;
  }

  /** Seals it without its last line. */
  sealWithoutLastLine() {
    const earlier = this.#earlier.slice(0, -1);
    if (this.#held === "") {
      this.#element.remove();
      this.#element = make("p");
      this.#prose = null;
      this.#front = "";
      if (earlier !== "") this.#feed(earlier);
    }
    this.#held = "";
    this.seal();
  }

  #release() {
    const held = this.#held;
    this.#held = "";
    if (held !== "") this.#feed(held);
  }

  /** @param {string} text */
  #feed(text) {
    if (this.#prose) return this.#prose.add(text);
    this.#front += text;
    this.#readFront(false);
  }

  /**
   * Reads the beginning, as far as it is known what it is.
   *
   * @param {boolean} isWhole Whether no more comes.
   */
  #readFront(isWhole) {
    if (this.#prose || this.#front === "") return;
    if (this.#mayBeTask) {
      if (!isWhole && TASK_BEGINNING.test(this.#front)) return;
      if (!isWhole && this.#front.length === 3 && TASK.test(`${this.#front} `)) return;
      const task = TASK.exec(this.#front);
      if (task) {
        this.#element.append(taskBox(task[1] !== " "), " ");
        this.#parent.classList.add("task");
        return this.#begin(this.#front.slice(task[0].length));
      }
      this.#mayBeTask = false;
    }
    while (this.#front.startsWith("[")) {
      const length = this.#context.definitions.read(this.#front, isWhole);
      if (length === OPEN) return;
      if (length === NONE) break;
      this.#front = this.#front.slice(length);
    }
    if (this.#front !== "") this.#begin(this.#front);
  }

  /** @param {string} text */
  #begin(text) {
    this.#front = "";
    this.#prose = new Prose(this.#element, this.#context);
    this.#prose.add(text);
  }

  #attach() {
    if (this.#prose && !this.#element.parentNode) this.#parent.append(this.#element);
  }
}

/** A heading, which is one line. */
export class Heading {
  kind = /** @type {const} */ ("heading");
  #prose;
  #isEmpty = true;
  /** The end of the line, while it may be the signs that close the heading. */
  #held = "";

  /**
   * @param {Element} parent
   * @param {import("./patch.js").Context} context
   * @param {number} level
   */
  constructor(parent, context, level) {
    const element = headingElement(level);
    parent.append(element);
    this.#prose = new Prose(element, context);
  }

  /** @param {string} text */
  add(text) {
    const line = this.#held + text;
    let end = line.length;
    while (end > 0 && " \t#".includes(line[end - 1])) end -= 1;
    while (line.length - end > HELD_LIMIT) end += HELD_LIMIT;
    this.#give(line.slice(0, end));
    this.#held = line.slice(end);
  }

  /** @returns {boolean} Whether the block ends with its line. */
  endLine() {
    return true;
  }

  show() {
    this.#prose.show();
  }

  seal() {
    const closing = this.#isEmpty ? /^#*[ \t]*$|[ \t]+#*[ \t]*$/ : /[ \t]+#*[ \t]*$/;
    this.#give(this.#held.replace(closing, ""));
    this.#prose.seal();
  }

  /** @param {string} text */
  #give(text) {
    if (text === "") return;
    this.#isEmpty = false;
    this.#prose.add(text);
  }
}

/** @param {number} level */
function headingElement(level) {
  const element = document.createElement(`h${Math.min(level + HEADING_OFFSET, 6)}`);
  element.className = `level-${level}`;
  return element;
}

/** @param {boolean} isDone */
function taskBox(isDone) {
  const label = isDone ? words.markdown.done : words.markdown.toDo;
  return make("input", { type: "checkbox", disabled: "", "aria-label": label, ...(isDone ? { checked: "" } : {}) });
}
