/**
 * Characters of Markdown: which of them are punctuation or spaces, escapes, and HTML's character references.
 *
 * It knows the references that models write; another name stays as it is written.
 */

const NAMED = new Map(
  Object.entries({
    amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", deg: "°",
    plusmn: "±", times: "×", divide: "÷", minus: "−", middot: "·", bull: "•", hellip: "…", ndash: "–", mdash: "—",
    lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”", laquo: "«", raquo: "»", larr: "←", uarr: "↑", rarr: "→",
    darr: "↓", harr: "↔", le: "≤", ge: "≥", ne: "≠", asymp: "≈", infin: "∞", radic: "√", sum: "∑", pi: "π",
    micro: "µ", euro: "€", pound: "£", yen: "¥", cent: "¢", sect: "§", para: "¶", frac12: "½", frac14: "¼",
    frac34: "¾", sup2: "²", sup3: "³", auml: "ä", ouml: "ö", uuml: "ü", Auml: "Ä", Ouml: "Ö", Uuml: "Ü", szlig: "ß",
    AElig: "Æ", check: "✓", star: "☆", hearts: "♥",
  }),
);

const REFERENCE = /&(?:#[xX]([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([A-Za-z][A-Za-z0-9]{1,31}));/y;
const ESCAPE_OR_REFERENCE = /\\([!-/:-@[-`{-~])|&(?:#[xX][0-9a-fA-F]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});/g;
const PUNCTUATION = /^[\p{P}\p{S}]/u;
const SPACE = /^\s/;

/**
 * The character reference at an index.
 *
 * @param {string} text
 * @param {number} at
 * @returns {{end: number, text: string}|null} `null` if there is none that is known.
 */
export function referenceAt(text, at) {
  REFERENCE.lastIndex = at;
  const found = REFERENCE.exec(text);
  if (!found) return null;
  const [whole, hex, decimal, name] = found;
  const decoded = name ? NAMED.get(name) : characterOf(hex ? parseInt(hex, 16) : parseInt(decimal, 10));
  return decoded === undefined ? null : { end: at + whole.length, text: decoded };
}

/** @param {number} code */
function characterOf(code) {
  const isInvalid = code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
  return String.fromCodePoint(isInvalid ? 0xfffd : code);
}

/**
 * Removes escapes and decodes references, as in a destination or a title.
 *
 * @param {string} text
 */
export function decode(text) {
  if (!/[\\&]/.test(text)) return text;
  return text.replace(ESCAPE_OR_REFERENCE, (whole, escaped) => escaped ?? referenceAt(whole, 0)?.text ?? whole);
}

/** @param {string|undefined} character */
export const isEscapable = (character) => character !== undefined && /^[!-/:-@[-`{-~]$/.test(character);

/**
 * Whether a character is a space; the start and the end of a text are.
 *
 * @param {string} character
 */
export const isSpace = (character) => character === "" || SPACE.test(character);

/** @param {string} character */
export const isPunctuation = (character) => PUNCTUATION.test(character);

/**
 * The character at an index, whole also outside the basic plane; empty after the end.
 *
 * @param {string} text
 * @param {number} at
 */
export const characterAt = (text, at) => String.fromCodePoint(...(at < text.length ? [text.codePointAt(at) ?? 0] : []));

/**
 * The character before an index, whole; empty at the start.
 *
 * @param {string} text
 * @param {number} at
 */
export function characterBefore(text, at) {
  if (at <= 0) return "";
  const unit = text.charCodeAt(at - 1);
  const isHalf = unit >= 0xdc00 && unit <= 0xdfff && at >= 2;
  return isHalf ? characterAt(text, at - 2) : text[at - 1];
}
