/**
 * Requests to `/v1/replies`: starts a reply, loads it, stops it. Knows nothing of the page.
 */

const REQUEST_TIMEOUT_MS = 30_000;
const MAX_BACKOFF_MS = 30_000;

/** @typedef {{id: string, events: string, self: string}} Started A reply that exists on the server. */

/** Fires `refused` when the server asks to sign in. */
export const access = new EventTarget();

/** The server refused a request, or did not answer it (`status` 0). */
export class RequestError extends Error {
  /**
   * @param {string} message The sentence of the server; empty if it sent none.
   * @param {{status?: number, code?: string, retryAfterMs?: number}} [facts]
   */
  constructor(message, { status = 0, code, retryAfterMs } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether a retry would get the same answer. */
  get final() {
    return this.status >= 400 && this.status < 500 && ![401, 408, 425, 429].includes(this.status);
  }
}

/** Makes 128 random bits, as an `Idempotency-Key` for example. Unlike `crypto.randomUUID`, this works outside secure contexts. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Starts a reply. Retries once if no answer comes: the key makes sure that the reply is paid for once.
 *
 * @param {string} body The request as JSON.
 * @param {string} key The `Idempotency-Key`.
 * @returns {Promise<Started>}
 * @throws {RequestError}
 */
export function startReply(body, key) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return fetchWithRetries("/v1/replies", { method: "POST", headers, body }, 2);
}

/**
 * Stops a reply. Its viewers receive the `end` that follows.
 *
 * @param {string} self The path of the reply.
 * @throws {RequestError}
 */
export function stopReply(self) {
  // With keepalive, the request survives a user who leaves the page right after a stop.
  return fetchWithRetries(self, { method: "DELETE", keepalive: true }, 3);
}

/**
 * Sends a request and parses the JSON of its response.
 *
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 * @throws {RequestError}
 */
export async function fetchJson(path, options = {}) {
  let response;
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    response = await fetch(path, { cache: "no-store", signal, ...options });
    if (response.ok) return await response.json();
  } catch {
    throw new RequestError("");
  }
  throw await errorOf(response);
}

/**
 * Like {@link fetchJson}, but retries when no answer comes. Only for idempotent requests.
 *
 * @param {string} path
 * @param {RequestInit} options
 * @param {number} attempts
 */
export async function fetchWithRetries(path, options, attempts) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchJson(path, options);
    } catch (error) {
      if (!(error instanceof RequestError) || error.status !== 0 || attempt === attempts) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt)));
  }
}

/**
 * No wait before the first attempt, then up to 1 s, 2 s, 4 s …; the jitter keeps viewers from reconnecting together.
 *
 * @param {number} attempt
 */
export function backoff(attempt) {
  if (attempt === 0) return 0;
  return Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/**
 * @param {string} json
 * @returns {any} Null if it is not JSON.
 */
export function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/**
 * Reads an error response. A proxy may send a page of its own instead of `application/problem+json`.
 *
 * @param {Response} response
 */
async function errorOf(response) {
  const problem = parse(await response.text().catch(() => "")) ?? {};
  if (response.status === 401) access.dispatchEvent(new Event("refused"));
  const after = Number(response.headers.get("Retry-After"));
  return new RequestError(problem.detail ?? "", {
    status: response.status,
    code: problem.code,
    retryAfterMs: problem.retry_after_ms ?? (after > 0 ? after * 1_000 : undefined),
  });
}
