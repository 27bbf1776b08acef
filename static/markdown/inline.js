/**
 * The text of a paragraph, heading or cell → what stands in it: words, emphasis, code, links, line breaks.
 *
 * `parse` is a pure function of its arguments. It also tells how far its result is final, so that a growing
 * text need not be parsed from its start. Nothing here knows the document.
 */

import { addressAt, autolinkAt } from "./addresses.js";
import { Brackets } from "./brackets.js";
import { characterAt, characterBefore, isEscapable, referenceAt } from "./characters.js";
import { Runs, runOf } from "./emphasis.js";
import { OPEN } from "./links.js";
import { mathAt } from "./math.js";
import { treeOf } from "./tree.js";

const PLAIN = /[^\\`<!\[\]*_~&\n$: \t]+/y;
const SPACES = /[ \t]+/y;
const BACKTICKS = /`+/g;

/**
 * Parses a text.
 *
 * @param {string} text
 * @param {object} context
 * @param {string} context.before The character before the text; empty at the start of the block.
 * @param {boolean} context.open Whether more text may come. Then what is not closed counts as closed at the
 *   end, so that no marks come and go.
 * @param {import("./links.js").Definitions} context.definitions
 * @returns {{nodes: import("./tree.js").Node[], final: number}} `final`: the index of a space up to which the
 *   text means the same whatever follows, 0 if there is none.
 */
export function parse(text, context) {
  return new Parser(text, context).parse();
}

class Parser {
  #text;
  #before;
  #open;
  #at = 0;
  #final = 0;
  /** Whether something began that a later character may complete. */
  #pending = false;
  /** @type {import("./tree.js").Item[]} */
  #items = [];
  #runs = new Runs();
  #brackets;
  /** The ends of code and math that the rest of the text does not have. @type {Set<unknown>} */
  #unended = new Set();

  /**
   * @param {string} text
   * @param {Parameters<typeof parse>[1]} context
   */
  constructor(text, { before, open, definitions }) {
    this.#text = text;
    this.#before = before;
    this.#open = open;
    this.#brackets = new Brackets(definitions, open);
  }

  parse() {
    while (this.#at < this.#text.length) this.#step();
    this.#runs.decide();
    if (this.#open) {
      this.#runs.openAll();
      this.#trim();
    }
    return { nodes: treeOf(this.#items), final: this.#final };
  }

  #step() {
    const text = this.#text;
    switch (text[this.#at]) {
      case " ":
      case "\t":
        return this.#spaces();
      case "\n":
        return this.#lineBreak();
      case "\\":
        return this.#escape();
      case "`":
        return this.#code();
      case "$":
        return this.#dollar();
      case "*":
      case "_":
      case "~":
        return this.#run();
      case "<":
        return this.#autolink();
      case "&":
        return this.#reference();
      case ":":
        return this.#address();
      case "!":
        return text[this.#at + 1] === "[" ? this.#bracket(2) : this.#words("!", 1);
      case "[":
        return this.#bracket(1);
      case "]":
        return this.#closeBracket();
      default: {
        const plain = match(PLAIN, text, this.#at);
        return this.#words(plain, plain.length);
      }
    }
  }

  /**
   * @param {string} words
   * @param {number} length Of what they are written as.
   */
  #words(words, length) {
    const last = this.#items.at(-1);
    if (typeof last === "string") this.#items[this.#items.length - 1] = last + words;
    else this.#items.push(words);
    this.#at += length;
  }

  /**
   * @param {import("./tree.js").Item} item
   * @param {number} length
   */
  #push(item, length) {
    this.#items.push(item);
    this.#at += length;
  }

  /** A space is where the text before it may be final. */
  #spaces() {
    this.#settle();
    const spaces = match(SPACES, this.#text, this.#at);
    const end = this.#at + spaces.length;
    const isVisible = end < this.#text.length && this.#text[end] !== "\n";
    this.#words(isVisible ? spaces : "", spaces.length);
  }

  /** Every line break is kept: a verse is made of them. */
  #lineBreak() {
    this.#settle();
    this.#breakLine();
  }

  #breakLine() {
    this.#trim();
    this.#push({ tag: "br" }, 1);
    while (" \t".includes(this.#text[this.#at] ?? "?")) this.#at += 1;
    // The break after the last word is no part of the block.
    if (this.#at >= this.#text.length) this.#items.pop();
  }

  #trim() {
    const last = this.#items.at(-1);
    if (typeof last === "string") this.#items[this.#items.length - 1] = last.replace(/[ \t]+$/, "");
  }

  #settle() {
    if (this.#pending || !this.#brackets.isEmpty || " \t".includes(this.#text[this.#at - 1] ?? "?")) return;
    this.#runs.decide();
    if (this.#runs.length === 0 && this.#at > 0) this.#final = this.#at;
  }

  #escape() {
    const next = this.#text[this.#at + 1];
    if ((next === "(" || next === "[") && this.#math()) return;
    if (next === undefined && this.#open) {
      // What it escapes is not known yet.
      this.#pending = true;
      this.#at += 1;
    } else if (next === "\n") {
      this.#at += 1;
      this.#breakLine();
    } else if (isEscapable(next)) this.#words(next, 2);
    else this.#words("\\", 1);
  }

  /** Code in backticks. Without its end, backticks are words. */
  #code() {
    const text = this.#text;
    const start = this.#at;
    const { length } = match(BACKTICKS, text, start);
    const from = start + length;
    if (!this.#unended.has(length)) {
      BACKTICKS.lastIndex = from;
      for (let found; (found = BACKTICKS.exec(text)); ) {
        if (found[0].length !== length) continue;
        return this.#push({ tag: "code", text: codeOf(text.slice(from, found.index)) }, found.index + length - start);
      }
      this.#unended.add(length);
    }
    if (!this.#open) return this.#words(text.slice(start, from), length);
    this.#pending = true;
    if (from < text.length) this.#items.push({ tag: "code", text: codeOf(text.slice(from)) });
    this.#at = text.length;
  }

  #dollar() {
    if (this.#math()) return;
    const marks = this.#text.startsWith("$$", this.#at) ? "$$" : "$";
    this.#words(marks, marks.length);
  }

  /** @returns {boolean} Whether there is math here. */
  #math() {
    const end = mathAt(this.#text, this.#at, this.#open, this.#unended);
    if (end === OPEN) this.#pending = true;
    if (end < 0) return false;
    this.#push({ tag: "math", text: this.#text.slice(this.#at, end) }, end - this.#at);
    return true;
  }

  #run() {
    const text = this.#text;
    const start = this.#at;
    const mark = text[start];
    let end = start;
    while (text[end] === mark) end += 1;
    if (end === text.length && this.#open) {
      // What it means depends on what follows.
      this.#pending = true;
      this.#at = end;
      return;
    }
    const run = runOf(mark, end - start, this.#characterBefore(), characterAt(text, end));
    this.#runs.add(run);
    this.#push(run, end - start);
  }

  #characterBefore() {
    return this.#at > 0 ? characterBefore(this.#text, this.#at) : this.#before;
  }

  /** `<https://…>` and `<me@example.com>`. Other markup is text. */
  #autolink() {
    const found = autolinkAt(this.#text, this.#at);
    if (found) this.#link(found.words, found.destination, found.end);
    else this.#words("<", 1);
  }

  #reference() {
    const found = referenceAt(this.#text, this.#at);
    if (found) this.#words(found.text, found.end - this.#at);
    else this.#words("&", 1);
  }

  /** An address in plain text: `https://…`. */
  #address() {
    const last = this.#items.at(-1);
    if (typeof last !== "string") return this.#words(":", 1);
    const found = addressAt(this.#text, this.#at, last);
    if (!found) return this.#words(":", 1);
    this.#items[this.#items.length - 1] = last.slice(0, -found.scheme.length);
    this.#link(found.address, found.address, found.end);
  }

  /**
   * @param {string} words
   * @param {string} destination
   * @param {number} end
   */
  #link(words, destination, end) {
    this.#items.push({ words: "", isImage: false, link: { destination, title: "" } }, words, { ends: "a" });
    this.#at = end;
  }

  /** @param {number} length */
  #bracket(length) {
    const isImage = length === 2;
    const item = { words: isImage ? "![" : "[", isImage };
    this.#brackets.add({ item, start: this.#at + length, runs: this.#runs.length, isActive: true });
    this.#push(item, length);
  }

  #closeBracket() {
    const link = this.#brackets.close(this.#text, this.#at);
    this.#pending ||= this.#brackets.mayChange;
    if (!link) return this.#words("]", 1);
    this.#runs.decideFrom(link.runs);
    this.#push({ ends: "a" }, link.end - this.#at);
  }
}

/**
 * @param {RegExp} pattern
 * @param {string} text
 * @param {number} at
 */
function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** @param {string} text Between backticks. */
function codeOf(text) {
  const line = text.replace(/\n/g, " ");
  return /^ .* $/.test(line) && line.trim() !== "" ? line.slice(1, -1) : line;
}
