/**
 * One running reply: sends its prompt, follows it, saves what matters, and tells its observers.
 *
 * It knows nothing of the page: a reply goes on while another conversation is shown.
 */

import { MAX_BODY_BYTES } from "./conversation.js";
import { endOf, isUnrepeatable, kindOf } from "./outcome.js";
import { RequestError, startReply, stopReply } from "./requests.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./types.js").Notice} Notice */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./archive.js").Archive} Archive */

/**
 * @typedef {object} State What is shown of a run, apart from its text.
 * @property {"sending"|"unsent"|"running"|"ended"} phase
 * @property {boolean} connected
 * @property {boolean} stopping
 * @property {Notice|null} notice
 * @property {{error: RequestError, retryAt: number}|null} problem Why it could not be sent or stopped.
 * @property {number} heardAt When the last text arrived, or the prompt was sent.
 */

/**
 * @typedef {object} Observer
 * @property {(text: string) => void} [appended]
 * @property {(text: string) => void} [replaced]
 * @property {(reasoning: string) => void} [reasoned]
 * @property {(run: Run) => void} [changed]
 */

/** The reason why a prompt was not sent. */
export const TOO_LONG = "prompt_too_long";
/** The notice of a prompt that was sent without the oldest part of its conversation. */
export const TRIMMED = "history_trimmed";
/** The notices of text that the content filter took back, and of text that the model's service corrected. */
const WITHDRAWN = "withdrawn";
const CORRECTED = "corrected";
/** Notices of a wait, which are obsolete once words arrive. */
const TEMPORARY_NOTICES = ["retrying", "other_deployment"];
const EMPTY = "empty_reply";

/** A browser that crashes loses at most what arrived since. */
const SAVE_INTERVAL_MS = 5_000;

const REFUSED_FOR_GOOD = [400, 413, 415, 422];

/** A reply from its prompt to its end. */
export class Run {
  /** @type {Set<Observer>} */
  #observers = new Set();
  #archive;
  /** @type {Viewer|null} */
  #viewer = null;
  /** How the viewer is to follow: 0 streams. @type {number} */
  #pollIntervalMs = 0;
  #savedAt = Date.now();
  /** @type {State} */
  state = { phase: "sending", connected: true, stopping: false, notice: null, problem: null, heardAt: Date.now() };

  /**
   * @param {Conversation} conversation
   * @param {Exchange} exchange
   * @param {Archive} archive
   */
  constructor(conversation, exchange, archive) {
    this.conversation = conversation;
    this.exchange = exchange;
    this.#archive = archive;
    this.state.stopping = exchange.stopped === true;
  }

  /**
   * @param {Observer} observer
   * @returns {() => void} Stops observing.
   */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Whether the reader must change the prompt: the same one would be refused again. */
  get isRefusedForGood() {
    return this.state.phase === "unsent" && REFUSED_FOR_GOOD.includes(this.state.problem?.error.status ?? 0);
  }

  /** The text so far, of an earlier reply that this one continues included. */
  get text() {
    return this.exchange.before + (this.#viewer?.text ?? this.exchange.text);
  }

  /** Whether a reply is being written, or is about to be. */
  get isActive() {
    return this.state.phase === "sending" || this.state.phase === "running";
  }

  get reasoning() {
    return this.#viewer?.reasoning ?? this.exchange.reasoning ?? "";
  }

  get hasEnded() {
    return this.state.phase === "ended";
  }

  /** Sends the prompt. The key of the exchange makes sure that it is paid for once. */
  async send() {
    const { exchange, conversation } = this;
    const { body, trimmed, fits } = conversation.request(exchange);
    const notice = trimmed ? { code: TRIMMED, message: "" } : null;
    this.#set({ phase: "sending", problem: null, notice, heardAt: Date.now() });
    this.#save();
    let started;
    try {
      if (!fits) throw new RequestError("", { status: 413, code: TOO_LONG });
      started = await startReply(body, exchange.key);
    } catch (error) {
      this.#refused(error);
      return;
    }
    const { id, events, self } = started;
    Object.assign(exchange, { id, events, self });
    this.#save();
    this.#follow();
  }

  /** Follows a reply that was running when this page was left, or that another tab has started. */
  resume() {
    this.#follow(true);
  }

  /** Streams the reply. */
  stream() {
    if (this.#pollIntervalMs === 0) return;
    this.#pollIntervalMs = 0;
    this.#viewer?.follow();
  }

  /**
   * Loads the reply now and then.
   *
   * @param {number} intervalMs
   */
  poll(intervalMs) {
    if (this.#pollIntervalMs === intervalMs) return;
    this.#pollIntervalMs = intervalMs;
    this.#viewer?.poll(intervalMs);
  }

  /** @param {boolean} [lost] See {@link Viewer.checkConnection}. */
  checkConnection(lost) {
    // What was refused for lack of a network or of a sign-in can be sent now.
    if (this.state.phase === "unsent" && [0, 401].includes(this.state.problem?.error.status ?? -1)) this.send();
    this.#viewer?.checkConnection(lost);
  }

  /** Asks the server to stop the reply. It is stopped once its `end` arrives. */
  async stop() {
    const { exchange } = this;
    exchange.stopped = true;
    this.#set({ stopping: true, problem: null });
    this.#save();
    // Before the POST is answered there is nothing to stop; `#follow` calls again after the answer.
    if (!exchange.self) return;
    try {
      await stopReply(exchange.self);
    } catch (error) {
      if (this.hasEnded || !(error instanceof RequestError)) return;
      exchange.stopped = false;
      if (error.status === 404) this.#viewer?.resume();
      this.#set({ stopping: false, problem: error.status === 404 ? null : problemOf(error) });
    }
  }

  /** Stops a reply that no page follows any more. */
  abandon() {
    const { self } = this.exchange;
    // If this fails, the reply is stopped because it has no readers.
    if (self) stopReply(self).catch(() => {});
  }

  /** Saves the text so far and closes the connection, because the page is left. */
  leave() {
    if (!this.#viewer) return;
    this.#saveText();
    this.#viewer.pause();
  }

  /** Forgets the reply; the server is not asked to stop it. */
  close() {
    this.#viewer?.close();
    this.#observers.clear();
  }

  /** @param {boolean} [known] Whether a part of the text may be known. */
  #follow(known = false) {
    const { exchange } = this;
    this.#set({ phase: "running" });
    const viewer = new Viewer(
      { events: exchange.events ?? "", self: exchange.self ?? "" },
      {
        connected: () => this.#set({ connected: true }),
        reconnecting: () => this.#set({ connected: false }),
        appended: (text) => this.#heard(() => this.#tell("appended", text)),
        replaced: (text, why) => {
          this.#heard(() => this.#tell("replaced", exchange.before + text));
          if (why !== undefined) this.#set({ notice: { code: why === "correction" ? CORRECTED : WITHDRAWN, message: "" } });
        },
        reasoned: (reasoning) => this.#tell("reasoned", reasoning),
        noticed: (notice) => this.#set({ notice }),
        ended: (end, proof, deltas) => this.#end(viewer, end, proof, deltas),
      },
      exchange.text,
      exchange.reasoning,
    );
    this.#viewer = viewer;
    if (this.#pollIntervalMs > 0) viewer.poll(this.#pollIntervalMs);
    else if (known) viewer.resume();
    else viewer.follow();
    if (exchange.stopped) this.stop();
  }

  /** @param {() => void} tell */
  #heard(tell) {
    tell();
    if (Date.now() - this.#savedAt > SAVE_INTERVAL_MS) this.#saveText();
    this.state.heardAt = Date.now();
    if (TEMPORARY_NOTICES.includes(this.state.notice?.code ?? "")) this.#set({ notice: null });
  }

  /**
   * @param {Viewer} viewer
   * @param {import("./types.js").End} end
   * @param {import("./proof.js").Proof} proof
   * @param {number|null} deltas
   */
  async #end(viewer, end, proof, deltas) {
    const retryAt = Date.now() + (end.error?.retry_after_ms ?? 0);
    const leftOut = isUnrepeatable(end, viewer.text);
    Object.assign(this.exchange, { end: endOf(end), proof, deltas, retryAt, text: viewer.text, reasoning: viewer.reasoning, leftOut });
    this.#save();
    const { notice } = this.state;
    // The outcome says the same.
    const said = [...TEMPORARY_NOTICES, EMPTY, ...(kindOf(this.exchange) === "filtered" ? [WITHDRAWN] : [])];
    const isObsolete = said.includes(notice?.code ?? "");
    this.#set({ phase: "ended", problem: null, notice: isObsolete ? null : notice });
  }

  /** @param {unknown} error */
  #refused(error) {
    if (!(error instanceof RequestError)) throw error;
    this.#set({ phase: "unsent", problem: problemOf(error), notice: null, stopping: false });
    this.exchange.stopped = false;
  }

  #saveText() {
    this.#savedAt = Date.now();
    this.exchange.text = this.#viewer?.text ?? "";
    this.exchange.reasoning = this.#viewer?.reasoning ?? "";
    this.#save();
  }

  #save() {
    return this.#archive.save(this.conversation, this.exchange);
  }

  /** @param {Partial<State>} change */
  #set(change) {
    const before = this.state;
    this.state = { ...before, ...change };
    const keys = /** @type {(keyof State)[]} */ (Object.keys(change));
    if (keys.some((key) => before[key] !== this.state[key])) this.#tell("changed", this);
  }

  /**
   * @param {"appended"|"replaced"|"reasoned"|"changed"} name
   * @param {any} value
   */
  #tell(name, value) {
    for (const observer of this.#observers) observer[name]?.(value);
  }
}

/** @param {RequestError} error */
function problemOf(error) {
  return { error, retryAt: Date.now() + (error.retryAfterMs ?? 0) };
}

/** The longest prompt that can be sent, in KiB. */
export const LONGEST_PROMPT_KIB = MAX_BODY_BYTES / 1024;
