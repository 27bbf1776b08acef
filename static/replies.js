/**
 * A client for `/v1/replies`: starts a reply, follows it, stops it.
 *
 * A {@link Viewer} follows one reply through lost connections, reloads and sleep. It calls a
 * listener with each event once, in order, and with one end. It knows nothing of the page, and
 * the page knows nothing of connections.
 */

/** The server sends a ping after this much silence, so a live connection is never silent for longer. */
const PING_INTERVAL_MS = 10_000;
/** Three missed pings mean a half-open connection, for which `EventSource` fires no event. */
const SILENCE_TIMEOUT_MS = 3 * PING_INTERVAL_MS;
const SILENCE_CHECK_INTERVAL_MS = 5_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_BACKOFF_MS = 30_000;

const UNREACHABLE = "The server could not be reached. Check the connection, then try again.";
const GONE = "This reply is no longer on the server. The text that had arrived stays here.";

/**
 * @typedef {object} End The data of an `end` event, also part of the snapshot of an ended reply.
 * @property {"completed"|"stopped"|"failed"} status
 * @property {string|null} finish_reason
 * @property {string} [reason] Why it was stopped: `viewer` or `unread`.
 * @property {string|null} [model]
 * @property {object|null} [usage]
 * @property {number} [bytes] Length of the complete text in bytes of UTF-8.
 * @property {string} [sha256] SHA-256 of the complete text in UTF-8.
 * @property {{first: number|null, total: number}} [ms]
 * @property {{code: string, message: string, retryable: boolean, retry_after_ms?: number}} [error]
 */

/**
 * @typedef {object} Listener The callbacks of a {@link Viewer}.
 * @property {() => void} connected An event arrived; a ping counts.
 * @property {() => void} reconnecting
 * @property {(text: string) => void} appended
 * @property {(text: string, why?: string) => void} replaced
 * @property {(reasoning: string) => void} reasoned The model's reasoning so far, whole.
 * @property {(notice: {message: string, retry_after_ms?: number}) => void} noticed
 * @property {(end: End, proof: Proof, deltas: number|null) => void} ended Called once, last.
 */

/** @typedef {"sha256"|"bytes"|"unchecked"|"mismatch"} Proof How the text was verified against its end. */

/** The server refused a request, or did not answer it (`status` 0). */
export class RequestError extends Error {
  /**
   * @param {string} message A sentence for the user.
   * @param {{status?: number, code?: string, retryAfterMs?: number}} [facts]
   */
  constructor(message, { status = 0, code, retryAfterMs } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the server may have carried out the request all the same. */
  get outcomeUnknown() {
    return this.status === 0 || this.status >= 500;
  }

  /** Whether a retry would get the same answer. */
  get final() {
    return this.status >= 400 && this.status < 500 && ![408, 425, 429].includes(this.status);
  }
}

/** Makes an `Idempotency-Key`. Unlike `crypto.randomUUID`, this works outside secure contexts. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return hex(bytes);
}

/**
 * Starts a reply. Retries once if no answer comes: the key makes sure that the reply is paid for once.
 *
 * @param {string} body The request as JSON.
 * @param {string} key The `Idempotency-Key`.
 * @returns {Promise<{id: string, events: string, self: string}>}
 * @throws {RequestError}
 */
export function startReply(body, key) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return fetchWithRetries("/v1/replies", { method: "POST", headers, body }, 2);
}

/**
 * Stops a reply. The viewer receives the `end` that follows.
 *
 * @param {string} self The path of the reply.
 * @throws {RequestError}
 */
export function stopReply(self) {
  // With keepalive, the request survives a user who leaves the page right after a stop.
  return fetchWithRetries(self, { method: "DELETE", keepalive: true }, 3);
}

/** Follows one reply to its end, through lost connections. */
export class Viewer {
  #paths;
  #listener;
  #text;
  #reasoning;
  #last = 0;
  /** The number of deltas received; null once a snapshot has supplied text. */
  #deltas = 0;
  /** @type {EventSource|null} At most one is open: over HTTP/1.1, browsers allow six connections per host. */
  #source = null;
  #lastEventAt = 0;
  #attempts = 0;
  #recovering = false;
  #skipPause = () => {};
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
    this.#text = text;
    this.#reasoning = reasoning;
  }

  /** The reply's text so far. */
  get text() {
    return this.#text;
  }

  /** The model's reasoning so far; no part of the text. */
  get reasoning() {
    return this.#reasoning;
  }

  /** Follows the reply from its first event. */
  follow() {
    this.#open();
  }

  /** Loads the snapshot, then follows the events after it. */
  resume() {
    this.#recover();
  }

  /**
   * Checks the connection, after sleep for example, and reconnects if needed.
   *
   * @param {boolean} [lost] Whether the old connection is known to be lost.
   */
  checkConnection(lost = false) {
    if (this.#ended || this.#closed) return;
    if (this.#recovering) this.#skipPause();
    else if (lost || !this.#source || this.#silentFor() > 1.5 * PING_INTERVAL_MS) this.#reopen();
  }

  /** Closes the connection until {@link checkConnection}; the reply continues on the server. */
  pause() {
    this.#disconnect();
  }

  /** Stops following the reply; the listener gets no further calls. */
  close() {
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.#disconnect();
    this.#skipPause();
  }

  #open() {
    const url = new URL(this.#paths.events, location.href);
    if (this.#last > 0) url.searchParams.set("after", String(this.#last));
    const source = new EventSource(url);
    this.#source = source;
    this.#lastEventAt = Date.now();

    const on = (name, handle) =>
      source.addEventListener(name, (event) => {
        // Ignores events that were queued before their connection was replaced.
        if (source === this.#source) this.#receive(event, handle);
      });
    on("start", () => {});
    on("delta", ({ text }) => this.#append(text));
    on("reasoning", ({ text }) => this.#reason(this.#reasoning + text));
    on("replace", ({ text, why }) => {
      this.#replace(text, why);
      // What the content filter retracts may stand in the reasoning, too.
      if (why === "content_filter") this.#reason("");
    });
    on("notice", (notice) => this.#listener.noticed(notice));
    on("end", (end) => this.#finish(end));
    source.addEventListener("ping", (event) => source === this.#source && this.#checkPing(event));
    source.addEventListener("error", () => source === this.#source && this.#onError());
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

  /** Handles each event once, in order. */
  #receive(event, handle) {
    this.#noteEvent();
    const seq = Number(event.lastEventId);
    if (seq <= this.#last) return;
    const data = seq === this.#last + 1 ? parse(event.data) : null;
    if (data === null) {
      this.#recover();
      return;
    }
    this.#last = seq;
    handle(data);
  }

  /** A ping carries the connection's cursor. If that is ahead of ours, an event was lost. */
  #checkPing(event) {
    this.#noteEvent();
    if (Number(event.lastEventId) > this.#last) this.#recover();
  }

  #noteEvent() {
    this.#lastEventAt = Date.now();
    this.#attempts = 0;
    this.#listener.connected();
  }

  // By the wall clock: a monotonic clock stops while the machine sleeps.
  #silentFor() {
    return Date.now() - this.#lastEventAt;
  }

  #checkSilence() {
    if (this.#source && this.#silentFor() > SILENCE_TIMEOUT_MS) this.#reopen();
  }

  /** `EventSource` reconnects by itself after a cut, but never after an answer other than 200. */
  #onError() {
    this.#listener.reconnecting();
    if (this.#source.readyState === EventSource.CLOSED) this.#recover();
  }

  /** Loads the snapshot, with retries, and continues from there. */
  async #recover() {
    if (this.#recovering || this.#ended) return;
    this.#recovering = true;
    this.#disconnect();
    this.#listener.reconnecting();
    const snapshot = await this.#loadSnapshot();
    this.#recovering = false;
    if (this.#closed) return;

    if (snapshot instanceof RequestError) {
      this.#finish(failure(snapshot));
      return;
    }
    this.#applySnapshot(snapshot);
    if (snapshot.status === "running") this.#open();
    else this.#finish(snapshot);
  }

  /** @returns {Promise<object|RequestError>} The snapshot, or the error that no retry can cure. */
  async #loadSnapshot() {
    while (!this.#closed) {
      await this.#pause(backoff(this.#attempts++));
      if (this.#closed) break;
      try {
        return await fetchJson(this.#paths.self);
      } catch (error) {
        if (error.final) return error;
      }
    }
    return null;
  }

  #pause(ms) {
    return new Promise((resolve) => {
      this.#skipPause = resolve;
      setTimeout(resolve, ms);
    });
  }

  #applySnapshot(snapshot) {
    // Another replica may lag behind this viewer.
    if (snapshot.last_event_id < this.#last) return;
    this.#last = snapshot.last_event_id;
    this.#deltas = null;
    this.#reason(snapshot.reasoning ?? "");
    // Appending keeps a selection in the old text.
    if (!snapshot.text.startsWith(this.#text)) this.#replace(snapshot.text);
    else if (snapshot.text.length > this.#text.length) this.#append(snapshot.text.slice(this.#text.length));
  }

  #append(text) {
    this.#text += text;
    if (this.#deltas !== null) this.#deltas += 1;
    this.#listener.appended(text);
  }

  #replace(text, why) {
    this.#text = text;
    this.#listener.replaced(text, why);
  }

  #reason(reasoning) {
    if (reasoning === this.#reasoning) return;
    this.#reasoning = reasoning;
    this.#listener.reasoned(reasoning);
  }

  /** Closes the connection first: an open `EventSource` would reconnect after the server's close. */
  async #finish(end) {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watchdog);
    this.#disconnect();
    const proof = await this.#verify(end);
    if (!this.#closed) this.#listener.ended(end, proof, this.#deltas);
  }

  /** Verifies the text against its end. If they differ, shows the text of the server's snapshot. */
  async #verify(end) {
    const proof = await verify(this.#text, end);
    if (proof !== "mismatch") return proof;
    // A silent repair would hide a bug in the handling of events.
    console.warn("The text of the reply did not match its end; showing the server's snapshot.");
    try {
      this.#applySnapshot(await fetchWithRetries(this.#paths.self, {}, 3));
    } catch {
      return "mismatch";
    }
    return verify(this.#text, end);
  }
}

/** The end of a reply that the server no longer has. */
function failure({ status, code = "unavailable", message }) {
  const error = { code, message: status === 404 ? GONE : message, retryable: true };
  return { status: "failed", finish_reason: null, error };
}

/**
 * Sends a request and parses the JSON of its response.
 *
 * @throws {RequestError}
 */
async function fetchJson(path, options = {}) {
  let response;
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    response = await fetch(path, { cache: "no-store", signal, ...options });
    if (response.ok) return await response.json();
  } catch {
    throw new RequestError(UNREACHABLE);
  }
  throw await errorOf(response);
}

/** Like {@link fetchJson}, but retries when no answer comes. Only for idempotent requests. */
async function fetchWithRetries(path, options, attempts) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchJson(path, options);
    } catch (error) {
      if (error.status !== 0 || attempt === attempts) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt)));
  }
}

/** Reads an error response. A proxy may send a page of its own instead of `application/problem+json`. */
async function errorOf(response) {
  const problem = parse(await response.text().catch(() => "")) ?? {};
  return new RequestError(problem.detail ?? `The server answered ${response.status} ${response.statusText}`.trim() + ".", {
    status: response.status,
    code: problem.code,
    retryAfterMs: problem.retry_after_ms,
  });
}

/** @returns {object|null} Null if it is not JSON. */
function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** No wait before the first attempt, then up to 1 s, 2 s, 4 s …; the jitter keeps viewers from reconnecting together. */
function backoff(attempt) {
  if (attempt === 0) return 0;
  return Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/** Compares a text with the length and hash in its end. @returns {Promise<Proof>} */
async function verify(text, end) {
  if (end.bytes === undefined) return "unchecked";
  const bytes = new TextEncoder().encode(text);
  if (bytes.length !== end.bytes) return "mismatch";
  // Only secure contexts, which include localhost, have `crypto.subtle`.
  if (!crypto.subtle || !end.sha256) return "bytes";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return hex(digest) === end.sha256 ? "sha256" : "mismatch";
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
