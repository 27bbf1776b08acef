/**
 * Emphasis: which runs of `*`, `_` and `~` belong together, by CommonMark's rules.
 *
 * A run is processed when all before it is decided, so that the work done stays when more text comes.
 */

import { isPunctuation, isSpace } from "./characters.js";

/** @typedef {"em"|"strong"|"del"} Tag */

/**
 * A run of one character that may open or close emphasis.
 *
 * @typedef {object} Run
 * @property {string} text The character.
 * @property {number} length Of the run, as it was written.
 * @property {number} left How many of its characters are not used up.
 * @property {boolean} opens
 * @property {boolean} closes
 * @property {boolean} startsWord Whether no letter stands before it.
 * @property {Tag[]} opened What it opens, the innermost first.
 * @property {Tag[]} closed What it closes, the innermost first.
 */

/**
 * @param {string} text The character.
 * @param {number} length
 * @param {string} before The character before the run.
 * @param {string} after The one after it.
 * @returns {Run}
 */
export function runOf(text, length, before, after) {
  const [spaceBefore, spaceAfter] = [isSpace(before), isSpace(after)];
  const [markBefore, markAfter] = [isPunctuation(before), isPunctuation(after)];
  const left = !spaceAfter && (!markAfter || spaceBefore || markBefore);
  const right = !spaceBefore && (!markBefore || spaceAfter || markAfter);
  const isWord = text === "_";
  const isUsed = text !== "~" || length === 2;
  return {
    text,
    length,
    left: length,
    opens: isUsed && left && (!isWord || !right || markBefore),
    closes: isUsed && right && (!isWord || !left || markAfter),
    startsWord: spaceBefore || markBefore,
    opened: [],
    closed: [],
  };
}

/** The runs that are not decided, in order. */
export class Runs {
  /** @type {Run[]} */
  #runs = [];
  /** Where to go on. */
  #at = 0;
  /** For each kind of closer, the index below which there is no opener for it. */
  #floors = /** @type {Map<string, number>} */ (new Map());

  get length() {
    return this.#runs.length;
  }

  /** @param {Run} run */
  add(run) {
    if (run.opens || run.closes) this.#runs.push(run);
  }

  /** Decides all runs so far. Those that may still be closed stay. */
  decide() {
    this.#decide(this.#at, this.#floors);
    this.#at = this.#runs.length;
  }

  /**
   * Decides the runs of a link, which are those from an index on, and forgets them.
   *
   * @param {number} start
   */
  decideFrom(start) {
    this.#decide(start, new Map(), start);
    this.#runs.length = start;
  }

  /** Opens what could still be closed, as if that happened at the end of the text. */
  openAll() {
    for (const run of this.#runs) {
      if (!run.opens || !run.startsWord) continue;
      if (run.left % 2 === 1) run.opened.push("em");
      if (run.left >= 2) run.opened.push(run.text === "~" ? "del" : "strong");
      run.left = 0;
    }
  }

  /**
   * @param {number} start Where to go on.
   * @param {Map<string, number>} floors
   * @param {number} bottom The index below which no run is looked at.
   */
  #decide(start, floors, bottom = 0) {
    const runs = this.#runs;
    let at = start;
    while (at < runs.length) {
      const closer = runs[at];
      if (!closer.closes) {
        at += 1;
        continue;
      }
      const kind = `${closer.text}${closer.opens}${closer.length % 3}`;
      const floor = Math.max(bottom, floors.get(kind) ?? 0);
      let from = at - 1;
      while (from >= floor && !belong(runs[from], closer)) from -= 1;
      if (from < floor) {
        floors.set(kind, at);
        if (closer.opens) at += 1;
        else runs.splice(at, 1);
        continue;
      }
      const opener = runs[from];
      const used = opener.left >= 2 && closer.left >= 2 ? 2 : 1;
      const tag = used === 1 ? "em" : closer.text === "~" ? "del" : "strong";
      opener.opened.push(tag);
      closer.closed.push(tag);
      opener.left -= used;
      closer.left -= used;
      const kept = opener.left > 0 ? from + 1 : from;
      runs.splice(kept, at - kept);
      for (const [key, value] of floors) floors.set(key, Math.min(value, kept));
      at = kept;
      if (closer.left === 0) runs.splice(at, 1);
    }
  }
}

/**
 * Whether a run closes what another opens.
 *
 * @param {Run} opener
 * @param {Run} closer
 */
function belong(opener, closer) {
  if (opener.text !== closer.text || !opener.opens) return false;
  const isMultiple = (opener.length + closer.length) % 3 === 0;
  const areMultiples = opener.length % 3 === 0 && closer.length % 3 === 0;
  return !(opener.closes || closer.opens) || !isMultiple || areMultiples;
}
