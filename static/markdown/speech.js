/** What a screen reader says of Markdown: the words as they are rendered, one sentence or block after the other. */

import { createRenderer } from "../markdown.js";

const WITH_WORDS = ["P", "H3", "H4", "H5", "H6"];
const SENTENCE_END = /[.!?:;,…。！？]["'”’»)]*$/;

/**
 * @param {string} markdown
 * @returns {string} Without marks; each block ends as a sentence does.
 */
export function spoken(markdown) {
  const root = document.createElement("div");
  const renderer = createRenderer(root);
  renderer.push(markdown);
  renderer.end();
  return blocksOf(root).filter((block) => block !== "").map(asSentence).join(" ");
}

/**
 * @param {Element} element
 * @returns {string[]}
 */
function blocksOf(element) {
  /** @type {string[]} */
  const blocks = [];
  for (const child of element.children) {
    const name = child.tagName;
    // That there is code; read aloud, it would be noise.
    if (name === "PRE") blocks.push(child.getAttribute("aria-label") ?? "");
    else if (child.className === "code-head") continue;
    else if (name === "TR") blocks.push([...child.children].map(wordsOf).join(", "));
    else if (WITH_WORDS.includes(name)) blocks.push(wordsOf(child));
    else blocks.push(...blocksOf(child));
  }
  return blocks;
}

/** @param {Element} element */
function wordsOf(element) {
  let text = "";
  for (const child of element.childNodes) {
    if (child instanceof Text) text += child.data;
    else if (child instanceof Element) text += child.tagName === "BR" ? "\n" : wordsOf(child);
  }
  return text.trim();
}

/** @param {string} block */
function asSentence(block) {
  return SENTENCE_END.test(block) ? block : `${block}.`;
}
