/**
 * The shown conversation, and all replies that run: carries out what the reader asks for.
 *
 * It connects the archive, the transcript and the composer, which do not know each other.
 */

import { copy } from "./clipboard.js";
import { Conversation, titleOf } from "./conversation.js";
import { recall, remember } from "./drafts.js";
import { kindOf } from "./outcome.js";
import { Runs } from "./runs.js";
import { outcomeWords, problemWords } from "./spoken.js";
import { words } from "./words.js";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./run.js").Run} Run */

/**
 * @typedef {object} Parts
 * @property {import("./archive.js").Archive} archive
 * @property {import("./announcer.js").Announcer} announcer
 * @property {import("./attention.js").Attention} attention
 * @property {import("./tab.js").Tab} tab
 */

/** What the reader does with conversations. */
export class Chat {
  #parts;
  /** The replies that run, also those of other conversations. */
  runs;
  #conversation = new Conversation();
  /** The page, once it is connected. @type {import("./stage.js").Stage|null} */
  #stage = null;
  /** Called when the list of conversations may have changed. */
  onchange = () => {};

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.runs = new Runs(parts.archive, (run) => this.#changed(run));
    parts.archive.onchange = ({ conversation }) => this.#changedElsewhere(conversation);
  }

  /** @param {import("./stage.js").Stage} stage */
  connect(stage) {
    this.#stage = stage;
  }

  get id() {
    return this.#conversation.id;
  }

  /** By which name this tab remembers drafts: a conversation without prompts is always the same one. */
  get place() {
    return this.lastPrompt === "" ? "new" : this.id;
  }

  get isEmpty() {
    return this.#conversation.exchanges.length === 0;
  }

  /** The newest prompt; empty if there is none. */
  get lastPrompt() {
    return this.#conversation.path().at(-1)?.prompt ?? "";
  }

  /** The running reply of the shown conversation. */
  get run() {
    return this.#conversation.path().map((exchange) => this.runs.get(exchange.key)).findLast((run) => run && run.isActive) ?? null;
  }

  /**
   * Shows a conversation; a new one if there is none by this name.
   *
   * @param {string|null} id
   */
  async open(id) {
    this.keepPlace();
    const shown = this.runs.of(id)[0]?.conversation;
    const found = shown ?? (id === null ? null : await this.#parts.archive.load(id));
    this.#enter(found ?? new Conversation());
  }

  /** Shows a reply that another browser has started, read-only. @param {string} reply */
  watch(reply) {
    this.keepPlace();
    this.#enter(Conversation.watching(reply, words.watching));
  }

  /** @param {Conversation} conversation */
  #enter(conversation) {
    this.#conversation = conversation;
    this.#stage?.clear();
    this.#resume(true);
    this.#show();
    const kept = recall(this.place);
    this.#stage?.opened(kept, this.#conversation.path().length > 0);
    this.onchange();
  }

  /**
   * Adds a prompt and starts its reply.
   *
   * @param {string} prompt
   * @param {Exchange|null} [edited] The earlier exchange that it replaces.
   */
  submit(prompt, edited = null) {
    if (this.run) return;
    const newest = this.#conversation.path().at(-1);
    // A prompt that was never sent is no part of what follows; it stays as another version.
    const replaced = edited ?? (newest && !newest.id && !newest.end ? newest : null);
    const parent = replaced ? replaced.parent : (newest?.key ?? null);
    this.#start(this.#conversation.add(prompt, parent));
  }

  /** Asks the server to stop the shown reply, unless it is another browser's. */
  stop() {
    if (!this.#conversation.meta.watched) this.run?.stop();
  }

  /** Saves what the next visit needs. */
  leave() {
    this.keepPlace();
    this.runs.leave();
  }

  keepPlace() {
    const place = this.#stage?.place;
    if (place) remember(this.id, { place });
  }

  /**
   * @param {import("./types.js").Meta} meta
   * @param {string} title Empty for the first prompt.
   */
  async rename({ id }, title) {
    const conversation = id === this.id ? this.#conversation : await this.#parts.archive.load(id);
    if (!conversation) return;
    conversation.meta.title = title;
    await this.#parts.archive.saveMeta(conversation.meta);
    this.#update();
  }

  /** What the buttons of an exchange do. @returns {import("./reply-tools.js").Actions} */
  get actions() {
    return {
      copy,
      again: (exchange) => this.#again(exchange),
      continue: (exchange) => this.#continue(exchange),
      edit: (exchange) => !this.run && this.#stage?.edit(exchange),
      fresh: (exchange) => this.open(null).then(() => this.submit(exchange.prompt)),
      version: (exchange, step) => this.#turnTo(exchange, step),
    };
  }

  /** @param {Exchange} exchange */
  #again(exchange) {
    const run = this.runs.get(exchange.key);
    if (run?.state.phase === "unsent") run.send();
    else if (!exchange.end && !exchange.id && !this.run) this.#start(exchange);
    else if (!this.run) this.#start(this.#conversation.add(exchange.prompt, exchange.parent, exchange.before));
  }

  /**
   * Lets the model continue a reply that was cut off. The longer reply replaces the shorter one.
   *
   * @param {Exchange} exchange
   */
  #continue(exchange) {
    if (this.run) return;
    const { prompt, parent, before, text } = exchange;
    const longer = this.#conversation.add(prompt, parent, before + text);
    this.#conversation.replace(exchange, longer);
    this.#parts.archive.removeExchange(this.#conversation, exchange);
    this.#start(longer, false);
  }

  /**
   * @param {Exchange} exchange
   * @param {number} step
   */
  #turnTo(exchange, step) {
    const versions = this.#conversation.versions(exchange);
    const next = versions[versions.indexOf(exchange) + step];
    if (!next) return;
    this.#conversation.choose(next);
    this.#parts.archive.saveMeta(this.#conversation.meta);
    this.#resume(false);
    this.#show();
  }

  /**
   * @param {Exchange} exchange
   * @param {boolean} [toTop] Whether to bring it near the top.
   */
  #start(exchange, toTop = true) {
    const run = this.runs.add(this.#conversation, exchange);
    this.#parts.announcer.say(words.announce.waiting);
    this.#show();
    this.#stage?.started(toTop);
    run.send();
    this.onchange();
  }

  /**
   * Follows the replies of the shown branch that had not ended.
   *
   * @param {boolean} all Whether to send a prompt again whose POST was not answered. The same key finds its
   *   reply, if it was started.
   */
  #resume(all) {
    const path = this.#conversation.path();
    for (const exchange of path) {
      if (exchange.end || this.runs.get(exchange.key)) continue;
      if (exchange.id) this.runs.add(this.#conversation, exchange).resume();
      else if (all && exchange === path.at(-1)) this.runs.add(this.#conversation, exchange).send();
    }
  }

  /** @param {Run} run */
  #changed(run) {
    const { phase, problem, connected } = run.state;
    const isShown = run.conversation === this.#conversation;
    if (isShown) this.#parts.announcer.connection(connected);
    if (phase === "ended") this.#ended(run, isShown);
    else if (run.isRefusedForGood) this.#undo(run);
    else if (phase === "running" && problem && isShown) this.#stage?.problem(words.notStopped, problem.retryAt);
    this.#update();
  }

  /**
   * @param {Run} run
   * @param {boolean} isShown
   */
  #ended(run, isShown) {
    const { exchange, conversation } = run;
    this.runs.remove(run);
    const said = outcomeWords(exchange);
    if (isShown) {
      this.#show();
      this.#parts.announcer.end(said, run.text);
    } else {
      this.#parts.announcer.say(words.announce.endedElsewhere(titleOf(conversation.meta)));
    }
    this.onchange();
  }

  /** Takes back a prompt that the server will never accept, and puts it into the form. @param {Run} run */
  #undo(run) {
    const { exchange, conversation, state } = run;
    this.runs.remove(run);
    conversation.remove(exchange);
    this.#parts.archive.removeExchange(conversation, exchange);
    if (conversation !== this.#conversation) return;
    this.#show();
    this.#stage?.putBack(exchange.prompt);
    if (state.problem) this.#stage?.problem(problemWords(state.problem.error), state.problem.retryAt);
  }

  /** Another tab has written. @param {string} id */
  async #changedElsewhere(id) {
    this.onchange();
    if (id !== this.id) return;
    const stored = await this.#parts.archive.load(id);
    if (id !== this.id) return;
    if (!stored) {
      if (!this.run) this.open(null);
      return;
    }
    this.#conversation.merge(stored, (key) => this.runs.get(key) !== undefined);
    this.#resume(false);
    this.#show();
  }

  /** Draws the shown branch. */
  #show() {
    this.#stage?.show(this.#conversation, (exchange) => this.runs.get(exchange.key));
    this.#update();
  }

  /** Updates what depends on whether a reply is running. */
  #update() {
    const run = this.run;
    this.#stage?.running(run !== null, run?.state.stopping ?? false);
    this.#parts.attention.direct(this.runs.all(), run);
    const newest = this.#conversation.path().at(-1);
    const failed = newest?.end?.status === "failed" && kindOf(newest) !== "gone";
    const state = run ? "writing" : !newest?.end ? "idle" : failed ? "failed" : "done";
    this.#parts.tab.show(state, titleOf(this.#conversation.meta));
  }
}
