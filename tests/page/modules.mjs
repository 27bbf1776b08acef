/**
 * What the page's modules need to run in Node: a way to import them, and the few things of a browser that
 * they use. No document: what touches one is tested in a real browser by `mod.rs`.
 */

import { register } from "node:module";

// Node takes `.js` without a `package.json` for CommonJS.
const hook = `export const load = (url, context, next) =>
  next(url, url.includes("/static/") ? { ...context, format: "module" } : context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

/** Imports a file of `static/`. */
export function load(name) {
  return import(new URL(`../../static/${name}`, import.meta.url));
}

/** Takes the place of timers and of `Date.now`: time stands still until the test moves it on. */
export class Clock {
  now = 1_000_000_000;
  #timers = new Map();
  #numbers = 0;
  #own = Object.fromEntries(["setTimeout", "setInterval", "clearTimeout", "clearInterval"].map((name) => [name, globalThis[name]]));
  #dateNow = Date.now;

  constructor() {
    const add = (act, wait, every) => {
      this.#timers.set(++this.#numbers, { act, every, due: this.now + wait });
      return this.#numbers;
    };
    globalThis.setTimeout = (act, wait = 0) => add(act, wait);
    globalThis.setInterval = (act, wait) => add(act, wait, wait);
    globalThis.clearTimeout = globalThis.clearInterval = (number) => this.#timers.delete(number);
    Date.now = () => this.now;
  }

  /** Gives the timers and the time of day back. */
  restore() {
    Object.assign(globalThis, this.#own);
    Date.now = this.#dateNow;
  }

  /** Fires each timer that is due within so many milliseconds, at its time. */
  advance(ms) {
    const until = this.now + ms;
    for (;;) {
      const [number, timer] = [...this.#timers].reduce((first, next) => (next[1].due < first[1].due ? next : first), [0, { due: Infinity }]);
      if (timer.due > until) break;
      this.now = timer.due;
      if (timer.every) timer.due += timer.every;
      else this.#timers.delete(number);
      timer.act();
    }
    this.now = until;
  }
}

/** An `EventSource` without a network: the test sends the events. */
export class Source extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;
  /** All that were opened, in order. */
  static all = [];

  readyState = Source.OPEN;

  constructor(url) {
    super();
    this.url = new URL(url);
    Source.all.push(this);
  }

  static get newest() {
    return Source.all.at(-1);
  }

  /** The cursor that the page asked for. */
  get after() {
    return this.url.searchParams.get("after");
  }

  close() {
    this.readyState = Source.CLOSED;
  }

  /** Sends an event, as the server would write it. */
  send(id, name, data) {
    const event = new MessageEvent(name, { lastEventId: String(id), data: typeof data === "string" ? data : JSON.stringify(data) });
    this.dispatchEvent(event);
  }

  /** Loses the connection. `state` tells whether the browser reconnects by itself. */
  fail(state) {
    this.readyState = state;
    this.dispatchEvent(new Event("error"));
  }
}

/** A `Storage` that holds so many characters. */
export class Storage {
  items = new Map();

  constructor(limit = Infinity) {
    this.limit = limit;
  }

  getItem(name) {
    return this.items.get(name) ?? null;
  }

  setItem(name, value) {
    if (value.length > this.limit) throw new DOMException("full", "QuotaExceededError");
    this.items.set(name, value);
  }

  removeItem(name) {
    this.items.delete(name);
  }
}
