/**
 * The conversation of this tab: prompts and replies, kept through reloads, and the request
 * that sends them along with the next prompt.
 *
 * Knows nothing of the page and sends nothing itself.
 */

/** The service takes no more messages than this in one request. */
const MAX_MESSAGES = 64;
/** The service takes 256 KiB; the rest is a margin. */
export const MAX_BODY_BYTES = 240 * 1024;
/** Browsers give a site about five million characters; a quota error would lose the whole conversation. */
const MAX_STORED_CHARS = 2_000_000;
const STORAGE_NAME = "rasta-stream.conversation";

/**
 * @typedef {object} Exchange One prompt and its reply.
 * @property {string} prompt
 * @property {string} text The reply as far as it was saved.
 * @property {string} [key] The `Idempotency-Key` of its POST.
 * @property {string} [id]
 * @property {string} [events]
 * @property {string} [self]
 * @property {boolean} [stopped] Whether stopping was asked for on this page.
 * @property {boolean} [leftOut] Whether it is no part of the conversation that later prompts send along.
 * @property {import("./replies.js").End} [end]
 * @property {import("./replies.js").Proof} [proof]
 * @property {number|null} [deltas]
 * @property {number} [retryAt] When trying again makes sense, in milliseconds of the epoch.
 */

/** The exchanges of this tab, kept through reloads. */
export class Conversation {
  /** @type {Exchange[]} */
  exchanges = [];

  /** Reads what this tab had kept; an empty conversation if that is nothing, or not ours. */
  load() {
    try {
      const stored = JSON.parse(sessionStorage.getItem(STORAGE_NAME)) ?? [];
      this.exchanges = stored.filter((exchange) => typeof exchange.prompt === "string" && typeof exchange.text === "string");
    } catch {
      this.exchanges = [];
    }
  }

  /** Keeps the newest exchanges. Without storage the page works all the same, but forgets on reload. */
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

  /** Better nothing than an old state: it would bring back a reply that has since ended. */
  forget() {
    try {
      sessionStorage.removeItem(STORAGE_NAME);
    } catch {
      // There is no storage, so nothing is left behind in it.
    }
  }

  /**
   * Makes the request for `exchange`: its prompt, and as many of the newest messages before it
   * as the service takes.
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
    for (const one of earlier.toReversed()) {
      bytes += jsonBytes(one) + 1;
      if (messages.length === MAX_MESSAGES || bytes > MAX_BODY_BYTES) break;
      messages.unshift(one);
    }
    while (messages[0].role === "assistant") messages.shift();
    return { body: JSON.stringify({ messages }), trimmed: messages.length <= earlier.length, fits };
  }
}

/** Makes a message. Half of a surrogate pair is no valid text, and the service refuses it. */
function message(role, content) {
  return { role, content: content.toWellFormed?.() ?? content };
}

/** Whether the service would call this text blank. */
export function isBlank(text) {
  return /^[\s\u0085]*$/.test(text);
}

/** Counts what `value` adds to the body of a request. */
function jsonBytes(value) {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

