/** The keys of the page, and the dialog that lists them. */

import { find, make } from "./dom.js";
import { words } from "./words.js";

/**
 * @typedef {object} Acts What the keys do.
 * @property {() => boolean} escape Whether there was something to leave.
 * @property {() => void} newChat
 */

/** @param {Acts} acts */
export function connectShortcuts(acts) {
  const dialog = find("#help-dialog", HTMLDialogElement);
  const command = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘" : "Ctrl";
  const { shortcuts } = words;
  /** @type {[string, string][]} */
  const rows = [
    ["Enter", shortcuts.submit],
    ["Shift + Enter", shortcuts.newLine],
    ["Esc", shortcuts.stop],
    ["↑", shortcuts.recall],
    [`${command} + K`, shortcuts.newChat],
    ["?", shortcuts.help],
  ];
  const list = rows.map(([keys, said]) => make("div", {}, make("dt", {}, make("kbd", {}, keys)), make("dd", {}, said)));
  find("#shortcuts", HTMLElement).replaceChildren(...list);
  find("#help", HTMLButtonElement).addEventListener("click", () => dialog.showModal());

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || isInDialog()) return;
    if (event.key === "Escape" && acts.escape()) {
      event.preventDefault();
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      acts.newChat();
    } else if (event.key === "?" && !isTyping(event.target)) {
      event.preventDefault();
      dialog.showModal();
    }
  });
}

/** Whether the browser has its own meaning for Esc. */
function isInDialog() {
  return document.querySelector("dialog[open], :popover-open") !== null;
}

/** @param {EventTarget|null} target */
function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
