/**
 * A conversation: its prompts and replies as a tree of versions, and the request that sends a branch of it.
 *
 * Exchanges with the same parent are versions: of the reply, if they have the same prompt, else of the
 * prompt. It knows nothing of the page and of storage, and sends nothing.
 */

import { newKey } from "./requests.js";

/** The server accepts at most this many messages in one request. */
const MESSAGE_LIMIT = 64;
/** The server accepts 256 KiB; the rest is a margin. */
export const MAX_BODY_BYTES = 240 * 1024;
/** A phone that sleeps reads nothing. The server grants at most its `MAX_IDLE_READER_SECONDS`. */
const IDLE_READER_SECONDS = 600;
const TITLE_CHARS = 80;

/** What the model is asked for after a reply that was cut off. The page does not show it. */
export const CONTINUE_PROMPT =
  "Continue your last message exactly where it was cut off. Repeat nothing of it and add no introduction.";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./types.js").Meta} Meta */

/** The prompts and replies of one conversation. */
export class Conversation {
  /**
   * @param {Meta} [meta]
   * @param {Exchange[]} [exchanges]
   */
  constructor(meta = newMeta(), exchanges = []) {
    this.meta = meta;
    /** @type {Exchange[]} All versions, oldest first. */
    this.exchanges = exchanges;
  }

  /**
   * A conversation that only shows one reply of the server's.
   *
   * @param {string} reply
   * @param {string} title
   */
  static watching(reply, title) {
    const watched = new Conversation({ ...newMeta(), title, watched: true });
    const self = `/v1/replies/${reply}`;
    Object.assign(watched.add("", null), { id: reply, self, events: `${self}/events` });
    return watched;
  }

  get id() {
    return this.meta.id;
  }

  /** The shown branch, oldest first. @returns {Exchange[]} */
  path() {
    const path = [];
    // As many steps as exchanges at most: stored data may be damaged, and must not make a loop.
    for (let parent = null; path.length < this.exchanges.length; ) {
      const next = this.#chosenOf(parent);
      if (!next) break;
      path.push(next);
      parent = next.key;
    }
    return path;
  }

  /**
   * All versions of an exchange, itself included, oldest first.
   *
   * @param {Exchange} exchange
   */
  versions({ parent }) {
    return this.exchanges.filter((other) => other.parent === parent);
  }

  /**
   * Adds an exchange and chooses it.
   *
   * @param {string} prompt
   * @param {string|null} parent
   * @param {string} [before]
   * @returns {Exchange}
   */
  add(prompt, parent, before = "") {
    const exchange = { key: newKey(), parent, created: Date.now(), prompt, before, text: "" };
    if (this.exchanges.length === 0) this.meta.first = prompt.trim().slice(0, TITLE_CHARS);
    this.exchanges.push(exchange);
    this.choose(exchange);
    return exchange;
  }

  /**
   * Makes a version the shown one.
   *
   * @param {Exchange} exchange
   */
  choose({ key, parent }) {
    this.meta.chosen[parent ?? ""] = key;
    this.meta.updated = Date.now();
  }

  /**
   * Removes an exchange that the server refused.
   *
   * @param {Exchange} exchange
   */
  remove(exchange) {
    this.exchanges = this.exchanges.filter((other) => other !== exchange);
    delete this.meta.chosen[exchange.parent ?? ""];
    const newest = this.versions(exchange).at(-1);
    if (newest) this.choose(newest);
  }

  /**
   * Replaces a shorter reply, which has nothing after it, by a longer one.
   *
   * @param {Exchange} shorter
   * @param {Exchange} longer
   */
  replace(shorter, longer) {
    longer.created = shorter.created;
    this.exchanges = this.exchanges.filter((other) => other !== shorter && other !== longer);
    this.exchanges.push(longer);
    this.exchanges.sort((one, other) => one.created - other.created);
  }

  /**
   * Takes over what another tab has saved. Exchanges stay the same objects.
   *
   * @param {Conversation} stored
   * @param {(key: string) => boolean} isOurs Whether this tab follows the exchange itself.
   */
  merge(stored, isOurs) {
    const known = new Map(this.exchanges.map((exchange) => [exchange.key, exchange]));
    this.meta = stored.meta;
    const merged = stored.exchanges.map((exchange) => {
      const own = known.get(exchange.key);
      known.delete(exchange.key);
      if (own && isOurs(exchange.key)) return own;
      return own ? Object.assign(own, exchange) : exchange;
    });
    this.exchanges = [...merged, ...[...known.values()].filter(({ key }) => isOurs(key))];
  }

  /**
   * Builds the request for an exchange: its prompt, and as many of the newest messages before it as the
   * server accepts.
   *
   * @param {Exchange} exchange
   * @returns {{body: string, trimmed: boolean, fits: boolean}}
   */
  request(exchange) {
    const earlier = this.#ancestors(exchange)
      .filter((other) => !other.leftOut)
      .flatMap((other) => [message("user", other.prompt), message("assistant", other.before + other.text)]);
    const asked = [message("user", exchange.prompt)];
    if (exchange.before !== "") asked.push(message("assistant", exchange.before), message("user", CONTINUE_PROMPT));
    return fitted(earlier.filter(({ content }) => !isBlank(content)), asked);
  }

  /** @param {Exchange} exchange */
  #ancestors(exchange) {
    /** @type {Exchange[]} */
    const ancestors = [];
    let parent = exchange.parent;
    while (parent !== null && ancestors.length < this.exchanges.length) {
      const found = this.exchanges.find(({ key }) => key === parent);
      if (!found) break;
      ancestors.unshift(found);
      parent = found.parent;
    }
    return ancestors;
  }

  /** @param {string|null} parent */
  #chosenOf(parent) {
    const versions = this.exchanges.filter((other) => other.parent === parent);
    return versions.find(({ key }) => key === this.meta.chosen[parent ?? ""]) ?? versions.at(-1);
  }
}

/** @returns {Meta} */
function newMeta() {
  const now = Date.now();
  return { id: newKey(), title: "", first: "", created: now, updated: now, chosen: {} };
}

/** @typedef {{role: "user"|"assistant", content: string}} Message */

/**
 * @param {Message[]} earlier
 * @param {Message[]} asked
 */
function fitted(earlier, asked) {
  const messages = [...asked];
  let bytes = jsonBytes({ messages, idle_reader_seconds: IDLE_READER_SECONDS });
  const fits = bytes <= MAX_BODY_BYTES;
  for (const previous of earlier.toReversed()) {
    bytes += jsonBytes(previous) + 1;
    if (messages.length === MESSAGE_LIMIT || bytes > MAX_BODY_BYTES) break;
    messages.unshift(previous);
  }
  while (messages[0].role === "assistant") messages.shift();
  const body = JSON.stringify({ messages, idle_reader_seconds: IDLE_READER_SECONDS });
  return { body, trimmed: messages.length < earlier.length + asked.length, fits };
}

/**
 * Builds a message. Replaces lone surrogates, which the server refuses.
 *
 * @param {"user"|"assistant"} role
 * @param {string} content
 * @returns {Message}
 */
function message(role, content) {
  return { role, content: content.toWellFormed() };
}

/**
 * Whether the server regards this text as blank.
 *
 * @param {string} text
 */
export function isBlank(text) {
  return /^[\s\u0085]*$/.test(text);
}

/**
 * The bytes that `value` takes in the body of a request.
 *
 * @param {any} value
 */
function jsonBytes(value) {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}

/**
 * What a conversation is called.
 *
 * @param {Meta} meta
 */
export function titleOf({ title, first }) {
  return title || first.split("\n")[0];
}
