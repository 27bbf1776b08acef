/** The dialog that says in words whether streams arrive as they are sent. */

import { examine, verdictsOf } from "./doctor.js";
import { find, make, write } from "./dom.js";
import { spellWait, words } from "./words.js";

/** Connects the button, and examines each time the dialog is opened. */
export function connectDoctor() {
  const dialog = find("#doctor-dialog", HTMLDialogElement);
  const said = find("#verdict", HTMLElement);
  const remedies = find("#remedies", HTMLElement);
  let listening = new AbortController();

  async function listen() {
    listening = new AbortController();
    const { signal } = listening;
    write(said, words.doctor.listening);
    remedies.replaceChildren();
    delete dialog.dataset.verdict;
    try {
      const findings = verdictsOf(await examine(signal));
      // A hint is no fault.
      const isWell = findings.every(({ kind }) => kind === "six");
      write(said, isWell ? words.doctor.well : words.doctor.faults);
      remedies.replaceChildren(...findings.map((finding) => make("li", { "data-kind": finding.kind }, sentence(finding))));
      dialog.dataset.verdict = isWell ? "well" : "faults";
    } catch {
      if (signal.aborted) return;
      write(said, words.doctor.unreachable);
      dialog.dataset.verdict = "unreachable";
    }
  }

  find("#doctor", HTMLButtonElement).addEventListener("click", () => {
    dialog.showModal();
    listen();
  });
  dialog.addEventListener("close", () => listening.abort());
}

/** @param {import("./doctor.js").Finding} finding */
function sentence({ kind, what }) {
  const { doctor } = words;
  switch (kind) {
    case "buffered":
      return doctor.buffered(spellWait(Number(what)));
    case "cut":
      return doctor.cut(spellWait(Number(what)));
    case "compressed":
      return doctor.compressed(what);
    case "headers":
      return doctor.headers(what);
    default:
      return doctor.six;
  }
}
