/**
 * Follows one reply through lost connections, reloads and sleep.
 *
 * A {@link Viewer} calls a listener with each event once, in order, and with one end. It either streams
 * (an `EventSource`) or polls the snapshot; its owner chooses. It knows nothing of the page.
 */

import { verify } from "./proof.js";
import { Received } from "./received.js";
import { RequestError, fetchWithRetries, parse } from "./requests.js";
import { SnapshotLoader, failure } from "./snapshot.js";

const SILENCE_CHECK_INTERVAL_MS = 1_000;
/** For a server that does not say how often it sends pings. */
const DEFAULT_PING_INTERVAL_MS = 10_000;
/** After one and a half pings, a connection is half-open, for which `EventSource` fires no event. */
const SILENT_PINGS = 1.5;

/** @typedef {import("./types.js").End} End */
/** @typedef {import("./types.js").Listener} Listener */

/** Follows one reply to its end. */
export class Viewer {
  /** The silence after which the server sends a ping; `/readyz` says it. */
  static pingIntervalMs = DEFAULT_PING_INTERVAL_MS;

  #paths;
  #listener;
  #received;
  /** @type {EventSource|null} */
  #source = null;
  #lastEventAt = 0;
  #recovering = false;
  /** How often to load the snapshot; 0 means to stream. */
  #pollIntervalMs = 0;
  /** @type {number|undefined} */
  #poll;
  #snapshots;
  #ended = false;
  #closed = false;
  #watchdog = setInterval(() => this.#checkSilence(), SILENCE_CHECK_INTERVAL_MS);

  /**
   * @param {{events: string, self: string}} paths
   * @param {Listener} listener
   * @param {string} [text] The part of the reply that the page already shows.
   * @param {string} [reasoning] The same, of its reasoning.
   */
  constructor(paths, listener, text = "", reasoning = "") {
    this.#paths = paths;
    this.#listener = listener;
    this.#received = new Received(listener, text, reasoning);
    this.#snapshots = new SnapshotLoader(paths.self, () => listener.reconnecting());
  }

  /** The reply's text so far. */
  get text() {
    return this.#received.text;
  }

  /** The model's reasoning so far; no part of the text. */
  get reasoning() {
    return this.#received.reasoning;
  }

  /** Streams the events: from the first one, or after those that are known. */
  follow() {
    if (this.#ended || this.#closed) return;
    this.#pollIntervalMs = 0;
    clearTimeout(this.#poll);
    if (!this.#source && !this.#recovering) this.#open();
  }

  /** Loads the snapshot, then streams the events after it. */
  resume() {
    this.#pollIntervalMs = 0;
    clearTimeout(this.#poll);
    this.#recover();
  }

  /**
   * Closes the stream and loads the snapshot now and then: for a page that no one looks at, or that gets no
   * connection. The server counts it as reading.
   *
   * @param {number} intervalMs
   */
  poll(intervalMs) {
    if (this.#ended || this.#closed) return;
    this.#pollIntervalMs = intervalMs;
    this.#disconnect();
    clearTimeout(this.#poll);
    this.#poll = setTimeout(() => this.#recover(), intervalMs);
  }

  /**
   * Checks the connection, after sleep for example, and reconnects if needed.
   *
   * @param {boolean} [lost] Whether the old connection is known to be lost.
   */
  checkConnection(lost = false) {
    if (this.#ended || this.#closed) return;
    if (this.#recovering) this.#snapshots.skipPause();
    else if (this.#pollIntervalMs > 0) this.#recover();
    else if (lost || !this.#source || this.#isSilent()) this.#reopen();
  }

  /** Closes the connection until {@link checkConnection}; the reply continues on the server. */
  pause() {
    clearTimeout(this.#poll);
    this.#disconnect();
  }

  /** Stops following the reply; the listener gets no further calls. */
  close() {
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.pause();
    this.#snapshots.close();
  }

  #open() {
    const url = new URL(this.#paths.events, location.href);
    if (this.#received.last > 0) url.searchParams.set("after", String(this.#received.last));
    const source = new EventSource(url);
    this.#source = source;
    this.#lastEventAt = Date.now();

    /** @type {(name: string, handle: (data: any) => void) => void} */
    const on = (name, handle) =>
      source.addEventListener(name, (event) => {
        // Ignores events that were queued before their connection was replaced.
        if (source === this.#source) this.#receive(event, handle);
      });
    on("start", () => {});
    on("delta", ({ text }) => this.#received.append(text));
    on("reasoning", ({ text }) => this.#received.reason(this.#received.reasoning + text));
    on("replace", ({ text, why }) => this.#received.replace(text, why));
    on("notice", (notice) => this.#listener.noticed(notice));
    on("end", (end) => this.#finish(end));
    source.addEventListener("ping", (event) => {
      if (source === this.#source) this.#checkPing(event);
    });
    source.addEventListener("error", () => {
      if (source === this.#source) this.#onError(source);
    });
  }

  #disconnect() {
    this.#source?.close();
    this.#source = null;
  }

  #reopen() {
    this.#disconnect();
    this.#listener.reconnecting();
    this.#open();
  }

  /**
   * Handles each event once, in order.
   *
   * @param {MessageEvent} event
   * @param {(data: any) => void} handle
   */
  #receive(event, handle) {
    this.#noteEvent();
    const seq = Number(event.lastEventId);
    if (seq <= this.#received.last) return;
    const data = seq === this.#received.last + 1 ? parse(event.data) : null;
    if (data === null) {
      this.#recover();
      return;
    }
    this.#received.last = seq;
    handle(data);
  }

  /**
   * A ping carries the connection's cursor. If that is ahead of ours, an event was lost.
   *
   * @param {MessageEvent} event
   */
  #checkPing(event) {
    this.#noteEvent();
    if (Number(event.lastEventId) > this.#received.last) this.#recover();
  }

  #noteEvent() {
    this.#lastEventAt = Date.now();
    this.#snapshots.reset();
    this.#listener.connected();
  }

  // By the wall clock: a monotonic clock stops while the machine sleeps.
  #isSilent() {
    return Date.now() - this.#lastEventAt > SILENT_PINGS * Viewer.pingIntervalMs;
  }

  #checkSilence() {
    if (this.#source && this.#isSilent()) this.#reopen();
  }

  /**
   * `EventSource` reconnects by itself after a cut, but never after an answer other than 200.
   *
   * @param {EventSource} source
   */
  #onError(source) {
    this.#listener.reconnecting();
    if (source.readyState === EventSource.CLOSED) this.#recover();
  }

  /** Loads the snapshot, with retries, and continues from there. */
  async #recover() {
    if (this.#recovering || this.#ended) return;
    this.#recovering = true;
    const polls = this.#pollIntervalMs > 0;
    this.#disconnect();
    if (!polls) this.#listener.reconnecting();
    const snapshot = await this.#snapshots.load();
    this.#recovering = false;
    if (this.#closed || snapshot === null) return;

    if (snapshot instanceof RequestError) {
      this.#finish(failure(snapshot));
      return;
    }
    this.#received.apply(snapshot);
    if (snapshot.status !== "running") {
      this.#finish(snapshot);
    } else if (this.#pollIntervalMs > 0) {
      this.#snapshots.reset();
      this.#listener.connected();
      this.poll(this.#pollIntervalMs);
    } else {
      this.#open();
    }
  }

  /**
   * Closes the connection first: an open `EventSource` would reconnect after the server's close.
   *
   * @param {End} end
   */
  async #finish(end) {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watchdog);
    this.pause();
    const proof = await this.#verify(end);
    if (!this.#closed) this.#listener.ended(end, proof, this.#received.deltas);
  }

  /**
   * Verifies the text against its end. If they differ, shows the text of the server's snapshot.
   *
   * @param {End} end
   */
  async #verify(end) {
    const proof = await verify(this.#received.text, end);
    if (proof !== "mismatch") return proof;
    // A silent repair would hide a bug in the handling of events.
    console.warn("The text of the reply did not match its end; showing the server's snapshot.");
    try {
      this.#received.apply(await fetchWithRetries(this.#paths.self, {}, 3));
    } catch {
      return "mismatch";
    }
    return verify(this.#received.text, end);
  }
}
