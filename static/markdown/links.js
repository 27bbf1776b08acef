/**
 * Where a Markdown link leads: its destination and title, the definitions that links refer to, and which
 * destinations the page follows.
 *
 * Each function parses at an index and returns the index after what it found; `OPEN` if the text ends
 * before that is decided, and `NONE` if nothing is there.
 */

import { decode } from "./characters.js";

/** Nothing of the kind is at the index. */
export const NONE = -1;
/** The text ends too early to tell. */
export const OPEN = -2;

/** The most characters of a definition: text that goes on is not held back for longer. */
const DEFINITION_LIMIT = 4_096;
/** The most definitions of one reply. Without it, a reply that defines links alone would fill the memory. */
const DEFINITIONS_LIMIT = 1_000;
/** CommonMark's own bound. */
const LABEL_LIMIT = 999;

const SAFE_SCHEMES = /^(?:https?:\/\/|mailto:)/i;
/** Browsers drop these inside a scheme, so `java\nscript:` would be one. */
const INVISIBLE = /[\u0000-\u0020\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g;
/** @type {Record<string, string>} */
const TITLE_ENDS = { '"': '"', "'": "'", "(": ")" };
const FILLER = /[ \t]*\n?[ \t]*/y;
const SPACES = /[ \t]*/y;

/**
 * The URL that a link to a destination opens. `null` for what is neither web nor mail: a script, data, or an
 * address inside this page.
 *
 * @param {string} destination
 * @returns {string|null}
 */
export function safeHref(destination) {
  // Half a character is no part of an address.
  const whole = destination.replace(/\p{Surrogate}/gu, "\ufffd");
  const plain = whole.replace(INVISIBLE, (character) => encodeURIComponent(character));
  if (!SAFE_SCHEMES.test(plain)) return null;
  try {
    new URL(plain);
    return plain;
  } catch {
    return null;
  }
}

/**
 * Parses `<destination>` or `destination`.
 *
 * @param {string} text
 * @param {number} from
 * @returns {{end: number, destination?: string}}
 */
function destinationAt(text, from) {
  let at = from;
  if (text[at] === "<") {
    for (at += 1; at < text.length; at += 1) {
      const character = text[at];
      if (character === ">") return { end: at + 1, destination: decode(text.slice(from + 1, at)) };
      if (character === "\n" || character === "<") return { end: NONE };
      if (character === "\\") at += 1;
    }
    return { end: OPEN };
  }
  let depth = 0;
  for (; at < text.length; at += 1) {
    const character = text[at];
    if (character === "\\" && at + 1 < text.length && text[at + 1] > " ") at += 1;
    else if (character <= " ") break;
    else if (character === "(") depth += 1;
    else if (character === ")") {
      if (depth === 0) break;
      depth -= 1;
    }
  }
  if (at >= text.length) return { end: OPEN, destination: depth === 0 ? decode(text.slice(from)) : undefined };
  return depth === 0 && at > from ? { end: at, destination: decode(text.slice(from, at)) } : { end: NONE };
}

/**
 * Parses a title in quotes or parentheses.
 *
 * @param {string} text
 * @param {number} from
 * @returns {{end: number, title?: string}}
 */
function titleAt(text, from) {
  const close = TITLE_ENDS[text[from] ?? ""];
  if (!close) return { end: NONE };
  for (let at = from + 1; at < text.length; at += 1) {
    const character = text[at];
    if (character === close) return { end: at + 1, title: decode(text.slice(from + 1, at)) };
    if (character === "(" && close === ")") return { end: NONE };
    if (character === "\\") at += 1;
  }
  return { end: OPEN };
}

/**
 * Parses `(destination "title")` from the parenthesis on.
 *
 * @param {string} text
 * @param {number} from
 * @returns {{end: number, destination?: string, title?: string}}
 */
export function targetAt(text, from) {
  let at = skip(text, from + 1, FILLER);
  if (at >= text.length) return { end: OPEN };
  if (text[at] === ")") return { end: at + 1, destination: "", title: "" };
  const { end, destination } = destinationAt(text, at);
  if (end < 0) return { end };
  at = skip(text, end, FILLER);
  if (at >= text.length) return { end: OPEN };
  if (text[at] === ")") return { end: at + 1, destination, title: "" };
  if (at === end) return { end: NONE };
  const title = titleAt(text, at);
  if (title.end < 0) return { end: title.end };
  at = skip(text, title.end, FILLER);
  if (at >= text.length) return { end: OPEN };
  return text[at] === ")" ? { end: at + 1, destination, title: title.title } : { end: NONE };
}

/**
 * Parses `[label]`.
 *
 * @param {string} text
 * @param {number} from The index of the bracket.
 * @returns {{end: number, label?: string}}
 */
export function labelAt(text, from) {
  for (let at = from + 1; at < text.length; at += 1) {
    if (at - from > LABEL_LIMIT + 1 || text[at] === "[") return { end: NONE };
    if (text[at] === "]") {
      const label = normalized(text.slice(from + 1, at));
      return label === "" ? { end: NONE } : { end: at + 1, label };
    }
    if (text[at] === "\\") at += 1;
  }
  return { end: OPEN };
}

/**
 * The form in which labels are compared.
 *
 * @param {string} label
 */
function normalized(label) {
  return label.trim().replace(/\s+/g, " ").toLowerCase().toUpperCase();
}

/**
 * The link definitions of one text: `[label]: destination "title"`. The first of each label counts.
 *
 * A definition is for the text after it, because what is shown stays. One that comes after its use is no
 * definition but text, so that the reader sees where it leads.
 */
export class Definitions {
  /** @type {Map<string, {destination: string, title: string}>} */
  #targets = new Map();
  /** The labels that were used before they were defined. @type {Set<string>} */
  #missed = new Set();

  /**
   * Finds by a label in its normal form.
   *
   * @param {string} label
   * @param {boolean} isOpen Whether the text around it may change.
   * @returns {{destination: string, title: string}|undefined}
   */
  find(label, isOpen) {
    const found = this.#targets.get(label);
    if (!found && !isOpen && this.#missed.size < DEFINITIONS_LIMIT) this.#missed.add(label);
    return found;
  }

  /**
   * Finds by a label as it is written.
   *
   * @param {string} label
   * @param {boolean} isOpen
   */
  findText(label, isOpen) {
    return label.length > LABEL_LIMIT ? undefined : this.find(normalized(label), isOpen);
  }

  /**
   * Reads one definition from the start of a text.
   *
   * @param {string} text
   * @param {boolean} whole Whether the text is complete.
   * @returns {number} How many characters it takes, `NONE` or `OPEN`.
   */
  read(text, whole) {
    const given = text.length > DEFINITION_LIMIT ? text.slice(0, DEFINITION_LIMIT) : text;
    const end = this.#read(given, whole && given === text);
    return end === OPEN && given !== text ? NONE : end;
  }

  /**
   * @param {string} text
   * @param {boolean} whole
   */
  #read(text, whole) {
    const open = whole ? NONE : OPEN;
    if (text[0] !== "[") return text === "" ? open : NONE;
    const { end, label = "" } = labelAt(text, 0);
    if (end < 0) return end === OPEN ? open : NONE;
    if (end >= text.length) return open;
    if (text[end] !== ":") return NONE;
    let at = skip(text, end + 1, FILLER);
    if (at >= text.length) return open;
    const found = destinationAt(text, at);
    if (found.end === NONE) return NONE;
    if (found.end === OPEN) {
      if (!whole || found.destination === undefined) return open;
      return this.#keep(label, found.destination, "", text.length);
    }
    const { destination = "" } = found;
    // Without a title, the definition ends with its line.
    const lineEnd = skip(text, found.end, SPACES);
    at = skip(text, found.end, FILLER);
    if (at >= text.length) return whole ? this.#keep(label, destination, "", at) : OPEN;
    if (at > found.end) {
      const { end: titleEnd, title = "" } = titleAt(text, at);
      if (titleEnd === OPEN && !whole) return OPEN;
      if (titleEnd >= 0) {
        const after = skip(text, titleEnd, SPACES);
        if (after >= text.length && !whole) return OPEN;
        if (after >= text.length || text[after] === "\n") return this.#keep(label, destination, title, after + 1);
      }
    }
    return text[lineEnd] === "\n" ? this.#keep(label, destination, "", lineEnd + 1) : NONE;
  }

  /**
   * @param {string} label
   * @param {string} destination
   * @param {string} title
   * @param {number} end
   */
  #keep(label, destination, title, end) {
    if (this.#missed.has(label)) return NONE;
    if (!this.#targets.has(label) && this.#targets.size < DEFINITIONS_LIMIT) this.#targets.set(label, { destination, title });
    return end;
  }
}

/**
 * @param {string} text
 * @param {number} from
 * @param {RegExp} pattern
 */
function skip(text, from, pattern) {
  pattern.lastIndex = from;
  pattern.test(text);
  return pattern.lastIndex;
}
