/** Light or dark: as the system has it, or as the reader chose. `theme-early.js` has applied it before the first paint. */

import { find } from "./dom.js";

const STORAGE_NAME = "rasta-stream.theme";

/** Connects the choice of a theme. */
export function connectTheme() {
  const choice = find("#theme", HTMLSelectElement);
  choice.value = document.documentElement.dataset.theme ?? "system";
  choice.addEventListener("change", () => {
    if (choice.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice.value;
    try {
      localStorage.setItem(STORAGE_NAME, choice.value);
    } catch {
      // Without storage, the choice holds until the reload.
    }
  });
}
