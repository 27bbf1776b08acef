/**
 * What the page says, in the language of the reader. All sentences are in `words/`.
 */

import de from "./words/de.js";
import en from "./words/en.js";

const STORAGE_NAME = "rasta-stream.language";
const LANGUAGES = [en, de];

/** What a language has to say. @typedef {typeof en} Words */

/** Those that the reader chose, else those of the browser. @type {Words} */
export const words = LANGUAGES.find(({ lang }) => lang === stored()) ?? preferred();

/** The languages that there are, by tag and name. */
export const languages = LANGUAGES.map(({ lang, name }) => ({ lang, name }));

/**
 * Remembers a language; it holds from the next load on.
 *
 * @param {string} lang
 */
export function chooseLanguage(lang) {
  try {
    localStorage.setItem(STORAGE_NAME, lang);
  } catch {
    // Without storage, the language of the browser is the one.
  }
}

/**
 * Puts the words into the elements that name them: `data-words` for their text, and
 * `data-words-label`, `-placeholder` and `-title` for attributes.
 *
 * @param {ParentNode} root
 */
export function fillIn(root) {
  for (const element of root.querySelectorAll("[data-words]")) element.textContent = lookUp(element.getAttribute("data-words"));
  for (const [name, attribute] of [["label", "aria-label"], ["placeholder", "placeholder"], ["title", "title"]]) {
    for (const element of root.querySelectorAll(`[data-words-${name}]`)) {
      element.setAttribute(attribute, lookUp(element.getAttribute(`data-words-${name}`)));
    }
  }
  for (const template of root.querySelectorAll("template")) fillIn(template.content);
}

/**
 * @param {string|null} path
 * @returns {string}
 */
function lookUp(path) {
  /** @type {any} */
  let found = words;
  for (const key of (path ?? "").split(".")) found = found?.[key];
  if (typeof found !== "string") throw new Error(`There are no words for ${path}.`);
  return found;
}

/** Spells a time to wait, rounded up. @param {number} ms */
export function spellWait(ms) {
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 120) return words.seconds(String(seconds));
  if (seconds < 7_200) return words.minutes(String(Math.ceil(seconds / 60)));
  return words.hours(String(Math.ceil(seconds / 3_600)));
}

/** Spells a measured time. @param {number} ms */
export function spellDuration(ms) {
  const short = ms < 1_000;
  const figure = short ? Math.round(ms) : Math.round(ms / 100) / 10;
  const spelled = figure.toLocaleString(words.lang);
  return short ? words.milliseconds(spelled) : words.seconds(spelled);
}

function stored() {
  try {
    return localStorage.getItem(STORAGE_NAME);
  } catch {
    return null;
  }
}

function preferred() {
  const wanted = typeof navigator === "undefined" ? [] : (navigator.languages ?? []);
  for (const tag of wanted) {
    const found = LANGUAGES.find(({ lang }) => tag.toLowerCase().split("-")[0] === lang);
    if (found) return found;
  }
  return en;
}
