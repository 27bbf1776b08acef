/**
 * A block of code in the document: its language, a button that copies it, and the code, which scrolls in itself.
 */

const COPY = "Copy";
const COPIED = "Copied";
const NOT_COPIED = "Not copied";
const CODE = "Code";
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
  pre.setAttribute("aria-label", language === "" ? CODE : `${CODE}: ${language}`);
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
  button.textContent = COPY;
  let timer;
  button.addEventListener("click", async () => {
    const isCopied = await copy(text);
    button.textContent = isCopied ? COPIED : NOT_COPIED;
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = COPY), OUTCOME_MS);
  });
  return button;
}

/**
 * Copies the code. A page without TLS has no clipboard; there the code is selected and copied as by the keyboard.
 *
 * @returns {Promise<boolean>} Whether it is in the clipboard.
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text.data);
    return true;
  } catch {
    getSelection().selectAllChildren(text.parentNode);
    return document.execCommand("copy");
  }
}

function element(name, className) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  return made;
}
