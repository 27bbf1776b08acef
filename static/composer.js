/** The form: what the reader types, and the button that submits it or stops the reply. */

import { countdown } from "./clock.js";
import { isBlank } from "./conversation.js";
import { find, write } from "./dom.js";
import { spellWait, words } from "./words.js";

/** @typedef {import("./types.js").Exchange} Exchange */

/**
 * @typedef {object} Listener
 * @property {(prompt: string, editing: Exchange|null) => void} submit
 * @property {() => void} stop
 * @property {(draft: string) => void} typed
 * @property {() => string} last The last prompt; empty if there is none.
 */

/** The composer of prompts. */
export class Composer {
  #form = find("#prompt-form", HTMLFormElement);
  #box = find("#prompt", HTMLTextAreaElement);
  #submit = find("#submit", HTMLButtonElement);
  #stop = find("#stop", HTMLButtonElement);
  #problem = find("#problem", HTMLElement);
  #hint = find("#hint", HTMLElement);
  #editing = find("#editing", HTMLElement);
  #scroller = find("#scroller", HTMLElement);
  #listener;
  #running = false;
  #stopCountdown = () => {};
  /** @type {Exchange|null} */
  #edited = null;
  /** What was typed before an edit began. */
  #aside = "";

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#trySubmit();
    });
    this.#box.addEventListener("keydown", (event) => this.#onKey(event));
    this.#box.addEventListener("input", () => {
      this.clearProblem();
      write(this.#hint, "");
      if (!this.#edited) listener.typed(this.#box.value);
    });
    this.#stop.addEventListener("click", () => listener.stop());
    find("#cancel-edit", HTMLButtonElement).addEventListener("click", () => this.cancelEdit());
    // On a touch screen there is no Shift: Enter begins a line, and the button submits.
    this.#box.enterKeyHint = isTouch() ? "enter" : "send";
  }

  get draft() {
    return this.#box.value;
  }

  /** @param {string} draft */
  set draft(draft) {
    this.#edited = null;
    this.#editing.hidden = true;
    this.#box.value = draft;
    this.clearProblem();
  }

  /** Whether an earlier prompt is being changed. */
  get isEditing() {
    return this.#edited !== null;
  }

  /**
   * Puts text before what the reader has typed since.
   *
   * @param {string} prompt
   */
  putBack(prompt) {
    this.#box.value = [prompt, this.#box.value].filter((text) => text !== "").join("\n\n");
    this.#listener.typed(this.#box.value);
    this.focus();
  }

  /**
   * Lets the reader change an earlier prompt.
   *
   * @param {Exchange} exchange
   */
  edit(exchange) {
    if (!this.#edited) this.#aside = this.#box.value;
    this.#edited = exchange;
    this.#editing.hidden = false;
    this.#box.value = exchange.prompt;
    this.clearProblem();
    this.focus();
  }

  cancelEdit() {
    if (!this.#edited) return;
    this.draft = this.#aside;
    this.focus();
  }

  focus() {
    this.#box.focus({ preventScroll: true });
    this.#box.setSelectionRange(this.#box.value.length, this.#box.value.length);
  }

  /**
   * Submit and Stop share one place.
   *
   * @param {{running: boolean, stopping: boolean}} state
   */
  show({ running, stopping }) {
    const focused = document.activeElement;
    this.#running = running;
    this.#submit.hidden = running;
    this.#stop.hidden = !running;
    this.#stop.disabled = stopping;
    write(this.#stop, stopping ? words.stopping : words.stop);
    if (!running) write(this.#hint, "");
    this.keepFocus(focused);
  }

  /**
   * Moves the focus if its element was hidden or disabled; otherwise it would go back to the top of the page.
   *
   * @param {Element|null} focused
   */
  keepFocus(focused) {
    if (focused?.isConnected && !focused.closest("[hidden], :disabled")) return;
    // On a touch screen, focus on the prompt would open the keyboard over the reply.
    (isTouch() ? this.#scroller : this.#box).focus({ preventScroll: true });
  }

  /**
   * Shows next to the form what went wrong.
   *
   * @param {string} said
   * @param {number} [retryAt]
   */
  showProblem(said, retryAt = 0) {
    this.#stopCountdown();
    const wait = document.createElement("span");
    // A screen reader would read an alert that changes every second again and again.
    wait.setAttribute("aria-live", "off");
    this.#problem.replaceChildren(said, wait);
    this.#problem.hidden = false;
    this.#stopCountdown = countdown(retryAt, (left) => {
      write(wait, left > 0 ? ` ${words.againIn(spellWait(left))}` : "");
    });
  }

  clearProblem() {
    this.#stopCountdown();
    this.#problem.hidden = true;
    this.#problem.replaceChildren();
  }

  #trySubmit() {
    const prompt = this.#box.value;
    if (this.#running) {
      write(this.#hint, words.stillWriting);
      return;
    }
    if (isBlank(prompt)) {
      this.showProblem(words.emptyPrompt);
      this.focus();
      return;
    }
    const edited = this.#edited;
    this.draft = edited ? this.#aside : "";
    this.#listener.typed(this.#box.value);
    this.#listener.submit(prompt, edited);
    // The keyboard of a touch screen would cover the reply.
    if (isTouch()) this.#box.blur();
  }

  /**
   * Enter submits, except with Shift, and except where it confirms a word in an input method.
   *
   * @param {KeyboardEvent} event
   */
  #onKey(event) {
    const composing = event.isComposing || event.keyCode === 229;
    if (event.key === "ArrowUp" && this.#box.value === "" && !composing) {
      const last = this.#listener.last();
      if (last === "") return;
      event.preventDefault();
      this.#box.value = last;
      this.#listener.typed(last);
      this.focus();
    }
    if (event.key !== "Enter" || event.shiftKey || composing || isTouch()) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }
}

/** Whether the main pointer is a finger. */
function isTouch() {
  return matchMedia("(pointer: coarse)").matches;
}
