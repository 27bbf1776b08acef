/**
 * A block of code in the document: its language, a button that copies it, and the code, which scrolls in itself.
 */

import { copy } from "../clipboard.js";
import { make, write } from "../dom.js";
import { words } from "../words.js";

/** How long the button says what it did. */
const OUTCOME_MS = 2_000;

/**
 * Builds the elements.
 *
 * @param {string} language Empty if it is not known.
 * @returns {{block: Element, text: Text}} `text` holds the code.
 */
export function codeBlock(language) {
  const text = document.createTextNode("");
  const code = make("code", {}, text);
  if (language !== "") code.dataset.language = language;
  // With a place in the tab order, the keyboard can scroll a long line.
  const name = language === "" ? words.markdown.code : words.markdown.codeIn(language);
  const pre = make("pre", { dir: "ltr", tabindex: "0", role: "region", "aria-label": name }, code);
  const head = make("div", { class: "code-head" }, make("span", {}, language), copyButton(text));
  return { block: make("div", { class: "code" }, head, pre), text };
}

/** @param {Text} text */
function copyButton(text) {
  const button = make("button", { type: "button", class: "copy" }, words.actions.copy);
  let timer = 0;
  button.addEventListener("click", async () => {
    write(button, (await copy(text.data)) ? words.actions.copied : words.actions.notCopied);
    clearTimeout(timer);
    timer = setTimeout(() => write(button, words.actions.copy), OUTCOME_MS);
  });
  return button;
}
