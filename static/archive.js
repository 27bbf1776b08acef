/**
 * Keeps conversations in this browser, and tells the other tabs what has changed.
 *
 * Each exchange is a record of its own, so that two tabs never overwrite each other's. Without IndexedDB,
 * conversations live until the page is closed.
 */

import { Conversation } from "./conversation.js";

/** A list that no one can read, and a database that the browser would remove as a whole. */
export const CONVERSATIONS_LIMIT = 500;
const NAME = "rasta-stream";
const VERSION = 1;
const OPEN_TIMEOUT_MS = 3_000;

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./types.js").Meta} Meta */
/** @typedef {Exchange & {conversation: string}} Stored */

/**
 * @typedef {object} Change What another tab has written.
 * @property {string} conversation
 * @property {string} [exchange]
 */

/** The conversations of this browser. */
export class Archive {
  /** Null instead of a database means memory. @type {Promise<IDBDatabase|null>} */
  #database;
  #channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(NAME);
  /** What there is instead of a database. */
  #memory = { metas: new Map(), exchanges: new Map() };
  /** Called once conversations no longer survive the page. @type {(why: "missing"|"full") => void} */
  onfailure = () => {};
  /** Called after another tab has written. @type {(change: Change) => void} */
  onchange = () => {};

  constructor() {
    if (this.#channel) this.#channel.onmessage = ({ data }) => this.onchange(data);
    this.#database = openDatabase().catch(() => {
      this.onfailure("missing");
      return null;
    });
  }

  /** The list of conversations, newest first. @returns {Promise<Meta[]>} */
  async list() {
    /** @type {Meta[]} */
    const metas = await this.#read("conversations", (store) => store.getAll(), () => [...this.#memory.metas.values()]);
    return metas.toSorted((one, other) => other.updated - one.updated);
  }

  /**
   * @param {string} id
   * @returns {Promise<Conversation|null>}
   */
  async load(id) {
    /** @type {Meta|undefined} */
    const meta = await this.#read("conversations", (store) => store.get(id), () => this.#memory.metas.get(id));
    if (!meta) return null;
    return new Conversation(meta, await this.#exchangesOf(id));
  }

  /**
   * The conversations whose prompts or replies contain a text.
   *
   * @param {string} wanted In lower case.
   * @returns {Promise<Set<string>>}
   */
  async search(wanted) {
    /** @type {Stored[]} */
    const stored = await this.#read("exchanges", (store) => store.getAll(), () => [...this.#memory.exchanges.values()]);
    const matches = (/** @type {Stored} */ { prompt, before, text }) => `${prompt}\n${before}${text}`.toLowerCase().includes(wanted);
    return new Set(stored.filter(matches).map(({ conversation }) => conversation));
  }

  /** @param {Meta} meta */
  saveMeta(meta) {
    return this.#write(["conversations"], (store) => store("conversations").put(meta), { conversation: meta.id });
  }

  /**
   * @param {Conversation} conversation
   * @param {Exchange} exchange
   */
  async save({ meta }, exchange) {
    if (meta.watched) return;
    const stored = { ...exchange, conversation: meta.id };
    await this.#write(
      ["conversations", "exchanges"],
      (store) => {
        store("conversations").put(meta);
        store("exchanges").put(stored);
      },
      { conversation: meta.id, exchange: exchange.key },
    );
  }

  /**
   * @param {Conversation} conversation
   * @param {Exchange} exchange
   */
  removeExchange({ meta }, exchange) {
    return this.#write(
      ["conversations", "exchanges"],
      (store) => {
        store("conversations").put(meta);
        store("exchanges").delete(exchange.key);
      },
      { conversation: meta.id },
    );
  }

  /** Puts a conversation back that was removed. @param {Conversation} conversation */
  restore({ meta, exchanges }) {
    return this.#write(
      ["conversations", "exchanges"],
      (store) => {
        store("conversations").put(meta);
        for (const exchange of exchanges) store("exchanges").put({ ...exchange, conversation: meta.id });
      },
      { conversation: meta.id },
    );
  }

  /** @param {string} id */
  async remove(id) {
    const keys = (await this.#exchangesOf(id)).map(({ key }) => key);
    await this.#write(
      ["conversations", "exchanges"],
      (store) => {
        store("conversations").delete(id);
        for (const key of keys) store("exchanges").delete(key);
      },
      { conversation: id },
    );
  }

  /**
   * @param {string} id
   * @returns {Promise<Exchange[]>}
   */
  async #exchangesOf(id) {
    /** @type {Stored[]} */
    const stored = await this.#read(
      "exchanges",
      (store) => store.index("conversation").getAll(id),
      () => [...this.#memory.exchanges.values()].filter(({ conversation }) => conversation === id),
    );
    return stored.filter(isExchange).toSorted((one, other) => one.created - other.created);
  }

  /**
   * @param {string} name
   * @param {(store: IDBObjectStore) => IDBRequest} ask
   * @param {() => any} fallback
   */
  async #read(name, ask, fallback) {
    const database = await this.#database;
    if (!database) return fallback();
    try {
      return await resultOf(ask(database.transaction(name).objectStore(name)));
    } catch {
      this.#fail();
      return fallback();
    }
  }

  /**
   * @param {string[]} names
   * @param {(store: (name: string) => {put: (value: any) => void, delete: (key: string) => void}) => void} change
   * @param {Change} told
   */
  async #write(names, change, told) {
    const database = await this.#database;
    try {
      if (!database) throw new Error("There is no database.");
      const transaction = database.transaction(names, "readwrite");
      change((name) => transaction.objectStore(name));
      await completed(transaction);
    } catch {
      if (database) this.#fail();
      change((name) => this.#store(name));
    }
    this.#channel?.postMessage(told);
  }

  /** @param {string} name */
  #store(name) {
    const map = name === "exchanges" ? this.#memory.exchanges : this.#memory.metas;
    return {
      put: (/** @type {any} */ value) => map.set(value.key ?? value.id, value),
      delete: (/** @type {string} */ key) => map.delete(key),
    };
  }

  /** From now on, memory has to do: storage is full, or the browser has closed the database. */
  #fail() {
    this.#database = Promise.resolve(null);
    this.onfailure("full");
  }
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  return new Promise((resolve, reject) => {
    // Throws where the browser has none.
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("conversations", { keyPath: "id" });
      request.result.createObjectStore("exchanges", { keyPath: "key" }).createIndex("conversation", "conversation");
    };
    request.onsuccess = () => {
      // A newer version of the page, in another tab, may have to change the database.
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    // Another tab with an older page may block it without end.
    setTimeout(() => reject(new Error("The database does not open.")), OPEN_TIMEOUT_MS);
  });
}

/**
 * @param {IDBRequest} request
 * @returns {Promise<any>}
 */
function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction */
function completed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** @param {any} stored */
function isExchange(stored) {
  const isText = (/** @type {any} */ value) => typeof value === "string";
  return isText(stored.prompt) && isText(stored.text) && isText(stored.before) && isText(stored.key);
}
