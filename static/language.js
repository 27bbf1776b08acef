/** The choice of the page's language. */

import { find, make } from "./dom.js";
import { chooseLanguage, languages, words } from "./words.js";

/** Connects the list of languages. Another one holds from the next load on. */
export function connectLanguage() {
  const choice = find("#language", HTMLSelectElement);
  for (const { lang, name } of languages) choice.append(make("option", { value: lang, lang }, name));
  choice.value = words.lang;
  choice.addEventListener("change", () => {
    chooseLanguage(choice.value);
    location.reload();
  });
}
