/**
 * A block of code in the document: its language, a button that copies it, and the code, which scrolls in itself.
 */

import { copy } from "../clipboard.js";
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
  const code = element("code", "");
  if (language !== "") code.dataset.language = language;
  code.append(text);

  const pre = element("pre", "");
  pre.dir = "ltr";
  // Without it, the keyboard could not scroll a long line.
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", language === "" ? words.code : `${words.code}: ${language}`);
  pre.append(code);

  const label = element("span", "language");
  label.textContent = language;
  const head = element("div", "code-head");
  head.append(label, copyButton(text));

  const block = element("div", "code");
  block.append(head, pre);
  return { block, text };
}

function copyButton(text) {
  const button = element("button", "copy");
  button.type = "button";
  button.textContent = words.actions.copy;
  let timer;
  button.addEventListener("click", async () => {
    const isCopied = await copy(text.data);
    button.textContent = isCopied ? words.actions.copied : words.actions.notCopied;
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = words.actions.copy), OUTCOME_MS);
  });
  return button;
}

function element(name, className) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  return made;
}
