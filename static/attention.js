/**
 * Decides how each running reply is followed: the one that the user looks at streams; all others are polled.
 */

import { takeLane } from "./lanes.js";

/** A glance at another tab costs no reconnect. */
const HIDDEN_GRACE_MS = 5_000;
const VISIBLE_POLL_INTERVAL_MS = 2_000;
const HIDDEN_POLL_INTERVAL_MS = 10_000;

/** @typedef {import("./run.js").Run} Run */

/** Gives the stream of this tab to the reply that is looked at. */
export class Attention {
  /** @type {Set<Run>} */
  #runs = new Set();
  /** @type {Run|null} */
  #shown = null;
  /** @type {import("./lanes.js").Leave|null} */
  #lane = null;
  /** Counts changes, so that a lane that arrives late is given back. */
  #turn = 0;
  /** @type {number|undefined} */
  #timer;

  /**
   * The runs that exist, and the one in the shown conversation.
   *
   * @param {Iterable<Run>} runs
   * @param {Run|null} shown
   */
  direct(runs, shown) {
    this.#runs = new Set(runs);
    this.#shown = shown;
    this.#arrange();
  }

  /** The tab was hidden or shown. */
  visibilityChanged() {
    clearTimeout(this.#timer);
    if (document.hidden) this.#timer = setTimeout(() => this.#arrange(), HIDDEN_GRACE_MS);
    else this.#arrange();
  }

  async #arrange() {
    const turn = ++this.#turn;
    const streamed = document.hidden ? null : this.#shown;
    for (const run of this.#runs) {
      if (run !== streamed) run.poll(HIDDEN_POLL_INTERVAL_MS);
    }
    if (!streamed) {
      this.#leave();
      return;
    }
    if (!this.#lane) {
      const lane = await takeLane();
      if (turn !== this.#turn) {
        lane?.();
        return;
      }
      this.#lane = lane;
    }
    if (this.#lane) {
      streamed.stream();
      return;
    }
    streamed.poll(VISIBLE_POLL_INTERVAL_MS);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#arrange(), VISIBLE_POLL_INTERVAL_MS);
  }

  #leave() {
    this.#lane?.();
    this.#lane = null;
  }
}
