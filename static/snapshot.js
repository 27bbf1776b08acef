/** Loads the snapshot of a reply, with retries. */

import { RequestError, backoff, fetchJson } from "./requests.js";

/** The code of the end of a reply that the server no longer has. */
export const GONE = "reply_not_found";

/** Loads one reply's snapshot as often as asked. */
export class SnapshotLoader {
  #path;
  #failed;
  #attempts = 0;
  #closed = false;
  #skip = () => {};

  /**
   * @param {string} path
   * @param {() => void} failed Called after each attempt without an answer.
   */
  constructor(path, failed) {
    this.#path = path;
    this.#failed = failed;
  }

  /** The next attempt needs no pause: the connection works. */
  reset() {
    this.#attempts = 0;
  }

  /** Ends the pause before the next attempt. */
  skipPause() {
    this.#skip();
  }

  close() {
    this.#closed = true;
    this.#skip();
  }

  /** @returns {Promise<any|RequestError|null>} The snapshot, the error that no retry can cure, or null after a close. */
  async load() {
    while (!this.#closed) {
      await this.#pause(backoff(this.#attempts++));
      if (this.#closed) break;
      try {
        return await fetchJson(this.#path);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        if (error.final) return error;
        this.#failed();
      }
    }
    return null;
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((resolve) => {
      this.#skip = () => resolve(undefined);
      setTimeout(resolve, ms);
    });
  }
}

/**
 * The end of a reply that the server no longer has, or refuses to show.
 *
 * @param {RequestError} error
 * @returns {import("./types.js").End}
 */
export function failure({ status, code = "unavailable", message }) {
  const error = { code: status === 404 ? GONE : code, message, retryable: true };
  return { status: "failed", finish_reason: null, error };
}
