/** What has been received of one reply: its text, the reasoning beside it, and up to which event. */

/** The received part of a reply. Tells a listener what changes. */
export class Received {
  #listener;
  /** The number of the last event. */
  last = 0;
  /** The number of deltas; null once a snapshot has supplied text. @type {number|null} */
  deltas = 0;

  /**
   * @param {import("./types.js").Listener} listener
   * @param {string} text The part that the page already shows.
   * @param {string} reasoning The same, of the model's reasoning.
   */
  constructor(listener, text, reasoning) {
    this.#listener = listener;
    this.text = text;
    this.reasoning = reasoning;
  }

  /** @param {string} text */
  append(text) {
    this.text += text;
    if (this.deltas !== null) this.deltas += 1;
    this.#listener.appended(text);
  }

  /**
   * @param {string} text
   * @param {string} [why]
   */
  replace(text, why) {
    this.text = text;
    this.#listener.replaced(text, why);
    // What the content filter retracts may also be in the reasoning.
    if (why === "content_filter") this.reason("");
  }

  /** @param {string} reasoning All of it so far. */
  reason(reasoning) {
    if (reasoning === this.reasoning) return;
    this.reasoning = reasoning;
    this.#listener.reasoned(reasoning);
  }

  /** @param {{text: string, reasoning?: string, last_event_id: number}} snapshot */
  apply({ text, reasoning = "", last_event_id: last }) {
    // Another replica may lag behind this page.
    if (last < this.last) return;
    this.last = last;
    this.deltas = null;
    this.reason(reasoning);
    // Appending keeps a selection in the old text.
    if (!text.startsWith(this.text)) this.replace(text);
    else if (text.length > this.text.length) this.append(text.slice(this.text.length));
  }
}
