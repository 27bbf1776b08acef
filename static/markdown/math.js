/** Math in a line of text, between dollars or escaped brackets. It stays as it is written: its marks are not Markdown's. */

import { NONE, OPEN } from "./links.js";

/** @type {Record<string, string>} */
const ENDS = { $$: "$$", "\\(": "\\)", "\\[": "\\]" };

/**
 * The index after the math that begins at an index.
 *
 * @param {string} text
 * @param {number} at The index of a dollar, or of a backslash before a bracket.
 * @param {boolean} isOpen Whether more text may come.
 * @param {Set<unknown>} unended The ends that the rest of the text does not have; it adds to them.
 * @returns {number} `OPEN` if later text may end it, `NONE` if there is none.
 */
export function mathAt(text, at, isOpen, unended) {
  const open = isOpen ? OPEN : NONE;
  const start = text.slice(at, at + 2);
  const end = ENDS[start];
  if (!end) return dollarsAt(text, at, open);
  const content = at + start.length;
  const found = unended.has(end) ? -1 : text.indexOf(end, content);
  if (found < 0) unended.add(end);
  // Two escaped brackets beside each other, or an escaped backslash, are no math.
  if (found === content || text.startsWith("\\\\", content)) return NONE;
  return found < 0 ? open : found + end.length;
}

/**
 * Amounts of money are no math: a space stands before their second dollar, or a digit after it.
 *
 * @param {string} text
 * @param {number} at
 * @param {number} open What to return if later text may end it.
 */
function dollarsAt(text, at, open) {
  if (at + 1 >= text.length) return open;
  if (/\s/.test(text[at + 1])) return NONE;
  const lineEnd = text.indexOf("\n", at);
  const limit = lineEnd < 0 ? text.length : lineEnd;
  for (let end = text.indexOf("$", at + 1); end >= 0 && end < limit; end = text.indexOf("$", end + 1)) {
    if (text[end - 1] === "\\") continue;
    if (text[end - 1] === " ") return NONE;
    // What follows a dollar at the end is not known yet.
    if (end + 1 >= text.length && open === OPEN) return OPEN;
    return /[0-9A-Za-z]/.test(text[end + 1] ?? "") ? NONE : end + 1;
  }
  return lineEnd < 0 ? open : NONE;
}
