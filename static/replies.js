/**
 * The browser's side of `/v1/replies`: start a reply, view it, stop it.
 *
 * A {@link Viewer} follows one reply through lost connections, reloads and sleep, and
 * tells a watcher what happens: each event once, in order, and one end. It knows
 * nothing of the page, so the page knows nothing of connections.
 */

/** The server pings after this much silence, so a live connection is never silent for longer. */
const PING_MS = 10_000;
/** Three pings missed: the connection is half-open, for which `EventSource` fires no event. */
const SILENCE_MS = 3 * PING_MS;
const WATCH_EVERY_MS = 5_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_BACKOFF_MS = 30_000;

const UNREACHABLE = "The server could not be reached. Check the connection, then try again.";
const GONE = "This reply is no longer on the server. What had arrived is kept here.";

/**
 * @typedef {object} End What `end` says, and a snapshot once the reply has ended.
 * @property {"completed"|"stopped"|"failed"} status
 * @property {string|null} finish_reason
 * @property {string} [reason] Why it was stopped: `viewer` or `unread`.
 * @property {string|null} [model]
 * @property {object|null} [usage]
 * @property {number} [bytes] Length of the whole text in UTF-8.
 * @property {string} [sha256] Digest of the whole text in UTF-8.
 * @property {{first: number|null, total: number}} [ms]
 * @property {{code: string, message: string, retryable: boolean, retry_after_ms?: number}} [error]
 */

/**
 * @typedef {object} Watcher Whom a {@link Viewer} tells what happens.
 * @property {() => void} connected Something arrived, be it a ping.
 * @property {() => void} reconnecting
 * @property {(text: string) => void} appended
 * @property {(text: string, why?: string) => void} replaced
 * @property {(notice: {message: string, retry_after_ms?: number}) => void} noticed
 * @property {(end: End, proof: Proof, deltas: number|null) => void} ended Called once, last.
 */

/** @typedef {"sha256"|"bytes"|"unchecked"|"mismatch"} Proof How the text was checked against its end. */

/** A request that the server refused, or that never got an answer (`status` 0). */
export class Refusal extends Error {
  /**
   * @param {string} message A sentence for the reader of the page.
   * @param {{status?: number, code?: string, retryAfterMs?: number}} [facts]
   */
  constructor(message, { status = 0, code, retryAfterMs } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the server may have done what it was asked although the page cannot tell. */
  get unsure() {
    return this.status === 0 || this.status >= 500;
  }

  /** Whether asking again would bring the same answer. */
  get final() {
    return this.status >= 400 && this.status < 500 && ![408, 425, 429].includes(this.status);
  }
}

/** Makes an `Idempotency-Key`. `crypto.randomUUID` would need a secure context; this does not. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return hex(bytes);
}

/**
 * Starts a reply. Tried twice when no answer comes: the key makes sure that it is paid once.
 *
 * @param {string} body The request as JSON.
 * @param {string} key The `Idempotency-Key`.
 * @returns {Promise<{id: string, events: string, self: string}>}
 * @throws {Refusal}
 */
export function startReply(body, key) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return askPatiently("/v1/replies", { method: "POST", headers, body }, 2);
}

/**
 * Stops a reply. The viewer sees the `end` that follows.
 *
 * @param {string} self The reply's own path.
 * @throws {Refusal}
 */
export function stopReply(self) {
  // Kept alive, or leaving the page right after a stop would let the reply run on.
  return askPatiently(self, { method: "DELETE", keepalive: true }, 3);
}

/** Follows one reply to its end, whatever happens to the connection. */
export class Viewer {
  #paths;
  #watcher;
  #text;
  #last = 0;
  /** How many deltas made the text; null once a snapshot has made it. */
  #deltas = 0;
  /** @type {EventSource|null} At most one is open: HTTP/1.1 browsers allow six connections to a host. */
  #source = null;
  #heard = 0;
  #attempts = 0;
  #recovering = false;
  #hurry = () => {};
  #ended = false;
  #closed = false;
  #watchdog = setInterval(() => this.#watch(), WATCH_EVERY_MS);

  /**
   * @param {{events: string, self: string}} paths
   * @param {Watcher} watcher
   * @param {string} [text] What the page already shows of the reply.
   */
  constructor(paths, watcher, text = "") {
    this.#paths = paths;
    this.#watcher = watcher;
    this.#text = text;
  }

  /** The reply's text so far. */
  get text() {
    return this.#text;
  }

  /** Follows the reply from its first event. */
  follow() {
    this.#open();
  }

  /** Takes the snapshot, then follows what comes after it. */
  resume() {
    this.#recover();
  }

  /**
   * Makes sure of the connection after a sleep.
   *
   * @param {boolean} [lost] Whether the old connection is known to be lost.
   */
  wake(lost = false) {
    if (this.#ended || this.#closed) return;
    if (this.#recovering) this.#hurry();
    else if (lost || !this.#source || this.#silence() > 1.5 * PING_MS) this.#reopen();
  }

  /** Lets go of the connection until {@link wake}; the reply goes on. */
  rest() {
    this.#disconnect();
  }

  /** Ends the viewing; the watcher hears nothing more. */
  close() {
    this.#closed = true;
    clearInterval(this.#watchdog);
    this.#disconnect();
    this.#hurry();
  }

  #open() {
    const url = new URL(this.#paths.events, location.href);
    if (this.#last > 0) url.searchParams.set("after", String(this.#last));
    const source = new EventSource(url);
    this.#source = source;
    this.#heard = Date.now();

    const on = (name, handle) =>
      source.addEventListener(name, (event) => {
        // An event that was queued before its connection was given up.
        if (source === this.#source) this.#receive(event, handle);
      });
    on("start", () => {});
    on("delta", ({ text }) => this.#append(text));
    on("replace", ({ text, why }) => this.#replace(text, why));
    on("notice", (notice) => this.#watcher.noticed(notice));
    on("end", (end) => this.#finish(end));
    source.addEventListener("ping", (event) => source === this.#source && this.#checkPing(event));
    source.addEventListener("error", () => source === this.#source && this.#lose());
  }

  #disconnect() {
    this.#source?.close();
    this.#source = null;
  }

  #reopen() {
    this.#disconnect();
    this.#watcher.reconnecting();
    this.#open();
  }

  /** Lets each event through once, in order. */
  #receive(event, handle) {
    this.#hear();
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

  /** A ping tells where this connection stands; if that is ahead of us, something was lost. */
  #checkPing(event) {
    this.#hear();
    if (Number(event.lastEventId) > this.#last) this.#recover();
  }

  #hear() {
    this.#heard = Date.now();
    this.#attempts = 0;
    this.#watcher.connected();
  }

  // Wall-clock time: a monotonic clock stands still while the machine sleeps.
  #silence() {
    return Date.now() - this.#heard;
  }

  #watch() {
    if (this.#source && this.#silence() > SILENCE_MS) this.#reopen();
  }

  /** `EventSource` reconnects by itself after a cut, but gives up for good on any answer that is not a 200. */
  #lose() {
    this.#watcher.reconnecting();
    if (this.#source.readyState === EventSource.CLOSED) this.#recover();
  }

  /** Asks the snapshot where the reply stands, as often as needed, and goes on from there. */
  async #recover() {
    if (this.#recovering || this.#ended) return;
    this.#recovering = true;
    this.#disconnect();
    this.#watcher.reconnecting();
    const snapshot = await this.#snapshotAtLast();
    this.#recovering = false;
    if (this.#closed) return;

    if (snapshot instanceof Refusal) {
      this.#finish(failure(snapshot));
      return;
    }
    this.#take(snapshot);
    if (snapshot.status === "running") this.#open();
    else this.#finish(snapshot);
  }

  /** @returns {Promise<object|Refusal>} The snapshot, or why there will never be one. */
  async #snapshotAtLast() {
    while (!this.#closed) {
      await this.#pause(backoff(this.#attempts++));
      if (this.#closed) break;
      try {
        return await ask(this.#paths.self);
      } catch (refusal) {
        if (refusal.final) return refusal;
      }
    }
    return null;
  }

  #pause(ms) {
    return new Promise((resolve) => {
      this.#hurry = resolve;
      setTimeout(resolve, ms);
    });
  }

  #take(snapshot) {
    // Another replica may lag behind what this viewer has seen.
    if (snapshot.last_event_id < this.#last) return;
    this.#last = snapshot.last_event_id;
    this.#deltas = null;
    // Appending what is new leaves a selection in what is old alone.
    if (!snapshot.text.startsWith(this.#text)) this.#replace(snapshot.text);
    else if (snapshot.text.length > this.#text.length) this.#append(snapshot.text.slice(this.#text.length));
  }

  #append(text) {
    this.#text += text;
    if (this.#deltas !== null) this.#deltas += 1;
    this.#watcher.appended(text);
  }

  #replace(text, why) {
    this.#text = text;
    this.#watcher.replaced(text, why);
  }

  /** Closes first: an `EventSource` left open would ask again after the server's close. */
  async #finish(end) {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watchdog);
    this.#disconnect();
    const proof = await this.#prove(end);
    if (!this.#closed) this.#watcher.ended(end, proof, this.#deltas);
  }

  /** Checks the text against its end; if they differ, the server's own text is shown. */
  async #prove(end) {
    const proof = await check(this.#text, end);
    if (proof !== "mismatch") return proof;
    // Repaired without a word, a fault in the counting of events would never be found.
    console.warn("The reply's text did not match its end; the server's own text is shown.");
    try {
      this.#take(await askPatiently(this.#paths.self, {}, 3));
    } catch {
      return "mismatch";
    }
    return check(this.#text, end);
  }
}

/** The end of a reply of which the server will say nothing more. */
function failure(refusal) {
  const message = refusal.status === 404 ? GONE : refusal.message;
  const error = { code: refusal.code ?? "unavailable", message, retryable: true };
  return { status: "failed", finish_reason: null, error };
}

/**
 * Sends a request and reads its JSON.
 *
 * @throws {Refusal}
 */
async function ask(path, options = {}) {
  let response;
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    response = await fetch(path, { cache: "no-store", signal, ...options });
    if (response.ok) return await response.json();
  } catch {
    throw new Refusal(UNREACHABLE);
  }
  throw await refusalOf(response);
}

/** Like {@link ask}, but tries again when no answer comes. Only for requests that may be repeated. */
async function askPatiently(path, options, attempts) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(path, options);
    } catch (refusal) {
      if (refusal.status !== 0 || attempt === attempts) throw refusal;
    }
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt)));
  }
}

/** A proxy on the way may answer with a page of its own instead of `application/problem+json`. */
async function refusalOf(response) {
  const problem = parse(await response.text().catch(() => "")) ?? {};
  return new Refusal(problem.detail ?? `The server answered ${response.status} ${response.statusText}`.trim() + ".", {
    status: response.status,
    code: problem.code,
    retryAfterMs: problem.retry_after_ms,
  });
}

/** @returns {object|null} Null for what is not JSON. */
function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** Nothing before the first attempt, then 1 s, 2 s, 4 s …, halved at random so that viewers do not come back as one crowd. */
function backoff(attempt) {
  if (attempt === 0) return 0;
  return Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/** Compares a text with what its end says of it. @returns {Promise<Proof>} */
async function check(text, end) {
  if (end.bytes === undefined) return "unchecked";
  const bytes = new TextEncoder().encode(text);
  if (bytes.length !== end.bytes) return "mismatch";
  // Only secure contexts, localhost among them, have `crypto.subtle`.
  if (!crypto.subtle || !end.sha256) return "bytes";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return hex(digest) === end.sha256 ? "sha256" : "mismatch";
}

/** @param {Uint8Array} bytes */
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
