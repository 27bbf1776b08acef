/** One prompt as the user sees it. A long one is folded. */

import { find } from "./dom.js";
import { words } from "./words.js";

const FOLDED_LINES = 12;
const FOLDED_CHARS = 1_500;
const NAME_CHARS = 80;

/** @typedef {import("./types.js").Exchange} Exchange */

/**
 * Fills the element of a prompt.
 *
 * @param {HTMLElement} article
 * @param {Exchange} exchange
 * @param {(exchange: Exchange) => void} edit
 */
export function showPrompt(article, exchange, edit) {
  const text = find(".text", HTMLElement, article);
  text.textContent = exchange.prompt;
  find(".speaker", HTMLElement, article).textContent = `${words.you}: ${exchange.prompt.trim().slice(0, NAME_CHARS)}`;
  find(".edit", HTMLButtonElement, article).addEventListener("click", () => edit(exchange));

  const fold = find(".fold", HTMLButtonElement, article);
  fold.hidden = exchange.prompt.length < FOLDED_CHARS && exchange.prompt.split("\n").length <= FOLDED_LINES;
  if (fold.hidden) return;
  const show = (/** @type {boolean} */ all) => {
    text.classList.toggle("folded", !all);
    fold.setAttribute("aria-expanded", String(all));
    fold.textContent = all ? words.showLess : words.showAll;
  };
  fold.addEventListener("click", () => show(text.classList.contains("folded")));
  show(false);
}
