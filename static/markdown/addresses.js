/** Addresses of the web and of mail that are links by themselves: `<https://…>`, `<me@…>`, and `https://…`. */

const AUTOLINK = /<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\u0000-\u0020<>]*)>/y;
const MAIL = /<([a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*)>/y;
/** The rest of a web address in plain text. Brackets, quotes, and the signs that turn text around end it. */
const ADDRESS = /:\/\/[^\s<>"`[\]{}|\\^\u200e\u200f\u202a-\u202e\u2066-\u2069\u3000-\u303f\uff00-\uffef]+/y;
const SCHEME = /(?:^|[^A-Za-z0-9])(https?)$/i;
const ADDRESS_END = /[?!.,:;*_~'"]+$/;

/**
 * The address in angle brackets at an index.
 *
 * @param {string} text
 * @param {number} at
 * @returns {{words: string, destination: string, end: number}|null}
 */
export function autolinkAt(text, at) {
  const words = match(AUTOLINK, text, at)?.[1];
  const mail = words ? undefined : match(MAIL, text, at)?.[1];
  if (words) return { words, destination: words, end: at + `<${words}>`.length };
  return mail ? { words: mail, destination: `mailto:${mail}`, end: at + `<${mail}>`.length } : null;
}

/**
 * The address in plain text around a colon.
 *
 * @param {string} text
 * @param {number} at The index of the colon.
 * @param {string} before The words before it.
 * @returns {{scheme: string, address: string, end: number}|null}
 */
export function addressAt(text, at, before) {
  const scheme = SCHEME.exec(before.slice(-6))?.[1];
  const found = scheme && match(ADDRESS, text, at);
  if (!found) return null;
  const rest = withoutPunctuation(found[0]);
  return rest.length <= "://".length ? null : { scheme, address: scheme + rest, end: at + rest.length };
}

/**
 * @param {RegExp} pattern
 * @param {string} text
 * @param {number} at
 */
function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/**
 * An address without the punctuation of the sentence around it.
 *
 * @param {string} text
 */
function withoutPunctuation(text) {
  let address = text;
  for (;;) {
    const trimmed = address.replace(ADDRESS_END, "");
    const isOpen = trimmed.endsWith(")") && count(trimmed, ")") > count(trimmed, "(");
    if (!isOpen && trimmed === address) return address;
    address = isOpen ? trimmed.slice(0, -1) : trimmed;
  }
}

/**
 * @param {string} text
 * @param {string} character
 */
const count = (text, character) => text.split(character).length - 1;
