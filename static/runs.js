/** All replies that run in this tab, whichever conversation is shown. */

import { keepTexts, keptText } from "./drafts.js";
import { Run } from "./run.js";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./conversation.js").Conversation} Conversation */

/** The running replies, by the key of their exchange. */
export class Runs {
  /** @type {Map<string, Run>} */
  #runs = new Map();
  #archive;
  #changed;

  /**
   * @param {import("./archive.js").Archive} archive
   * @param {(run: Run) => void} changed Called when the state of one has changed.
   */
  constructor(archive, changed) {
    this.#archive = archive;
    this.#changed = changed;
  }

  /** @param {string} key */
  get(key) {
    return this.#runs.get(key);
  }

  /**
   * @param {Conversation} conversation
   * @param {Exchange} exchange
   */
  add(conversation, exchange) {
    const kept = keptText(exchange.key);
    if (kept && kept.text.length > exchange.text.length) Object.assign(exchange, kept);
    const run = new Run(conversation, exchange, this.#archive);
    this.#runs.set(exchange.key, run);
    run.observe({ changed: this.#changed });
    return run;
  }

  /** Forgets a run; the server is not asked to stop it. @param {Run} run */
  remove(run) {
    run.close();
    this.#runs.delete(run.exchange.key);
  }

  /**
   * Deletes a conversation. Its replies run on until `stop` is called, so that it can be put back.
   *
   * @param {string} id
   * @returns {Promise<{conversation: Conversation, stop: () => void}|null>}
   */
  async discard(id) {
    const runs = this.of(id);
    const conversation = runs[0]?.conversation ?? (await this.#archive.load(id));
    if (!conversation) return null;
    for (const run of runs) {
      run.leave();
      this.remove(run);
    }
    await this.#archive.remove(id);
    return { conversation, stop: () => runs.forEach((run) => run.abandon()) };
  }

  all() {
    return [...this.#runs.values()];
  }

  /** @param {string|null} conversation */
  of(conversation) {
    return this.all().filter(({ conversation: { id } }) => id === conversation);
  }

  /** The conversations in which a reply is being written. */
  get active() {
    return new Set(this.all().filter(({ isActive }) => isActive).map(({ conversation }) => conversation.id));
  }

  /** Saves what the next visit needs. */
  leave() {
    const left = this.all().filter(({ isActive }) => isActive);
    for (const run of left) run.leave();
    keepTexts(Object.fromEntries(left.map(({ exchange: { key, text, reasoning = "" } }) => [key, { text, reasoning }])));
  }

  /** @param {boolean} [lost] See {@link Run.checkConnection}. */
  checkConnections(lost) {
    for (const run of this.all()) run.checkConnection(lost);
  }
}
