/**
 * The conversation of this tab: its prompts and replies, which survive a reload, and the request
 * that sends them along with the next prompt.
 *
 * It knows nothing of the page and sends nothing.
 */

/** The server accepts at most this many messages in one request. */
const MESSAGE_LIMIT = 64;
/** The server accepts 256 KiB; the rest is a margin. */
export const MAX_BODY_BYTES = 240 * 1024;
/** Browsers store about five million characters per site; a quota error would lose the whole conversation. */
const MAX_STORED_CHARS = 2_000_000;
const STORAGE_NAME = "rasta-stream.conversation";

/**
 * @typedef {object} Exchange One prompt and its reply.
 * @property {string} prompt
 * @property {string} text The text of the reply, as far as it was saved.
 * @property {string} [reasoning] The model's reasoning, as far as it was saved. It is never sent.
 * @property {string} [key] The `Idempotency-Key` of its POST.
 * @property {string} [id]
 * @property {string} [events]
 * @property {string} [self]
 * @property {boolean} [stopped] Whether this page asked to stop it.
 * @property {boolean} [leftOut] Whether later prompts leave it out.
 * @property {import("./replies.js").End} [end]
 * @property {import("./replies.js").Proof} [proof]
 * @property {number|null} [deltas]
 * @property {number} [retryAt] The earliest time to try again, in milliseconds since the epoch.
 */

/** The exchanges of this tab. */
export class Conversation {
  /** @type {Exchange[]} */
  exchanges = [];

  /** Loads the saved conversation; an empty one if there is none, or if it is invalid. */
  load() {
    try {
      const stored = JSON.parse(sessionStorage.getItem(STORAGE_NAME)) ?? [];
      this.exchanges = stored.filter((exchange) => typeof exchange.prompt === "string" && typeof exchange.text === "string");
    } catch {
      this.exchanges = [];
    }
  }

  /** Saves the newest exchanges. Without storage, the page works until it is reloaded. */
  save() {
    const kept = [];
    let chars = 0;
    for (const exchange of this.exchanges.toReversed()) {
      const json = JSON.stringify(exchange);
      chars += json.length;
      if (chars > MAX_STORED_CHARS && kept.length > 0) break;
      kept.unshift(json);
    }
    try {
      sessionStorage.setItem(STORAGE_NAME, `[${kept.join()}]`);
    } catch {
      this.forget();
    }
  }

  /** Deletes the saved conversation. An outdated one would bring back a reply that has since ended. */
  forget() {
    try {
      sessionStorage.removeItem(STORAGE_NAME);
    } catch {
      // Without storage, nothing was saved.
    }
  }

  /**
   * Builds the request for `exchange`: its prompt, and as many of the newest earlier messages as the
   * server accepts.
   *
   * @param {Exchange} exchange
   * @returns {{body: string, trimmed: boolean, fits: boolean}}
   */
  request(exchange) {
    const earlier = this.exchanges
      .slice(0, this.exchanges.indexOf(exchange))
      .filter((other) => !other.leftOut)
      .flatMap(({ prompt, text }) => [message("user", prompt), message("assistant", text)])
      .filter(({ content }) => !isBlank(content));

    const messages = [message("user", exchange.prompt)];
    let bytes = jsonBytes({ messages });
    const fits = bytes <= MAX_BODY_BYTES;
    for (const previous of earlier.toReversed()) {
      bytes += jsonBytes(previous) + 1;
      if (messages.length === MESSAGE_LIMIT || bytes > MAX_BODY_BYTES) break;
      messages.unshift(previous);
    }
    while (messages[0].role === "assistant") messages.shift();
    return { body: JSON.stringify({ messages }), trimmed: messages.length <= earlier.length, fits };
  }
}

/** Builds a message. Replaces lone surrogates, which the server refuses. */
function message(role, content) {
  return { role, content: content.toWellFormed?.() ?? content };
}

/** Whether the server regards this text as blank. */
export function isBlank(text) {
  return /^[\s\u0085]*$/.test(text);
}

/** The bytes that `value` takes in the body of a request. */
function jsonBytes(value) {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

