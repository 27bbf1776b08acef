/**
 * One reply as the user sees it: its text, and its state in words and as a shape.
 *
 * It knows nothing of connections: it draws the state of a run.
 */

import { countdown } from "./clock.js";
import { find, write } from "./dom.js";
import { createRenderer } from "./markdown.js";
import { kindOf } from "./outcome.js";
import { ReplyTools } from "./reply-tools.js";
import { noticeWords, outcomeWords, progressOf } from "./spoken.js";
import { spellWait, words } from "./words.js";

const TICK_INTERVAL_MS = 1_000;

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./run.js").Run} Run */

/** A reply in the transcript. */
export class ReplyView {
  #article;
  #grew;
  #exchange;
  #renderer;
  #words;
  #notice;
  /** @type {Run|null} */
  #run = null;
  #unobserve = () => {};
  #stopNoticeCountdown = () => {};
  /** @type {number|undefined} */
  #tick;
  #pending = "";
  /** The reasoning to show in the next frame; null if there is nothing new. @type {string|null} */
  #pendingReasoning = null;
  #frame = 0;
  #empty = true;
  #done = false;

  /**
   * @param {HTMLElement} article
   * @param {Exchange} exchange
   * @param {import("./reply-tools.js").Actions} actions
   * @param {() => void} grew Called when it may have become taller.
   */
  constructor(article, exchange, actions, grew) {
    this.#article = article;
    this.#exchange = exchange;
    this.tools = new ReplyTools(article, exchange, actions);
    this.#grew = grew;
    this.#renderer = createRenderer(find(".text", HTMLElement, article));
    this.#words = find(".words", HTMLElement, article);
    this.#notice = find(".notice", HTMLElement, article);
    this.replace(exchange.before + exchange.text);
    this.#showReasoning(exchange.reasoning ?? "");
    this.#identify();
    if (!exchange.end) this.#drawIdle();
  }

  /**
   * Draws a run until it ends.
   *
   * @param {Run} run
   */
  attach(run) {
    if (this.#run === run) return;
    this.#run = run;
    this.#article.setAttribute("aria-busy", "true");
    delete this.#article.dataset.outcome;
    this.#unobserve = run.observe({
      appended: (text) => this.append(text),
      replaced: (text) => this.replace(text),
      reasoned: (reasoning) => this.reason(reasoning),
      changed: () => this.#draw(),
    });
    this.#tick = setInterval(() => this.#drawWords(), TICK_INTERVAL_MS);
    this.replace(run.text);
    this.#showReasoning(run.reasoning);
    this.#draw();
  }

  /** Stops drawing: another conversation is shown. */
  detach() {
    this.#unobserve();
    clearInterval(this.#tick);
    cancelAnimationFrame(this.#frame);
    this.tools.close();
    this.#stopNoticeCountdown();
    this.#run = null;
  }

  /**
   * Adds text in the next frame. A hidden page draws no frames, so there the text is added at once.
   *
   * @param {string} text
   */
  append(text) {
    this.#pending += text;
    this.#schedule();
  }

  /** Shows the model's reasoning, folded, in the next frame. @param {string} reasoning All of it so far. */
  reason(reasoning) {
    this.#pendingReasoning = reasoning;
    this.#schedule();
  }

  #schedule() {
    if (document.hidden) this.flush();
    else this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  /** Writes all pending text into the document. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#pendingReasoning !== null) this.#showReasoning(this.#pendingReasoning);
    if (this.#pending === "") return;
    this.#renderer.push(this.#pending);
    this.#pending = "";
    if (this.#empty) {
      this.#empty = false;
      this.#drawWords();
    }
    this.#grew();
  }

  /**
   * Replaces all text so far.
   *
   * @param {string} text
   */
  replace(text) {
    this.#pending = "";
    this.#empty = text === "";
    this.#renderer.replace(text);
    this.#drawWords();
    this.#grew();
  }

  /** Draws how the reply ended. @param {boolean} isNewest Whether its next steps are of use. */
  end(isNewest) {
    if (!this.#done) this.#drawEnd();
    this.tools.offer(isNewest);
  }

  #drawEnd() {
    this.#done = true;
    const exchange = this.#exchange;
    const kind = kindOf(exchange);
    const notice = this.#run?.state.notice;
    // Without a run, another tab has received the text.
    if (!this.#run) this.replace(exchange.before + exchange.text);
    this.flush();
    this.detach();
    this.#renderer.end();
    this.#identify();
    this.#article.dataset.outcome = kind;
    this.#article.dataset.status = exchange.end?.status ?? "";
    if (exchange.proof) this.#article.dataset.proof = exchange.proof;
    this.#article.removeAttribute("aria-busy");
    find("use", SVGUseElement, this.#article).setAttribute("href", `#shape-${kind}`);
    write(this.#words, outcomeWords(exchange));
    this.#showNotice(exchange.proof === "mismatch" ? words.mismatch : notice ? noticeWords(notice) : "");
    this.tools.end();
  }

  /** @param {string} reasoning */
  #showReasoning(reasoning) {
    this.#pendingReasoning = null;
    find(".reasoning", HTMLElement, this.#article).hidden = reasoning === "";
    write(find(".reasoning-text", HTMLElement, this.#article), reasoning);
    this.#grew();
  }

  #identify() {
    this.#article.dataset.reply = this.#exchange.id ?? "";
  }

  #draw() {
    const run = this.#run;
    if (!run || run.hasEnded) return;
    this.#identify();
    this.#drawWords();
    const { notice, phase, problem } = run.state;
    this.#showNotice(notice ? noticeWords(notice) : "", notice?.retry_after_ms);
    if (phase === "unsent" && problem) {
      this.tools.offerToSend(problem.retryAt);
    } else {
      this.tools.clear();
    }
    this.#grew();
  }

  /** Draws a prompt that this tab has not sent: another tab may be about to, or it never was. */
  #drawIdle() {
    this.#article.dataset.status = "unsent";
    write(this.#words, words.notSent);
    this.tools.offerToSend();
  }

  #drawWords() {
    if (!this.#run || this.#run.hasEnded) return;
    const [status, said] = progressOf(this.#run.state, this.#empty);
    this.#article.dataset.status = status;
    write(this.#words, said);
  }

  /**
   * @param {string} said
   * @param {number} [wait]
   */
  #showNotice(said, wait = 0) {
    this.#stopNoticeCountdown();
    this.#notice.hidden = said === "";
    this.#stopNoticeCountdown = countdown(said === "" ? 0 : Date.now() + wait, (left) => {
      write(this.#notice, left > 0 ? `${said} ${words.tryingAgainIn(spellWait(left))}` : said);
    });
  }
}
