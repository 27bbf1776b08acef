/**
 * One reply as the user sees it: its text, its state in words and as a shape, its figures.
 *
 * Text is added as text nodes only, never as markup. This module knows nothing of connections.
 */

const WAITING = "Waiting for the first words…";
const MISMATCH = "This text may be incomplete: it does not match what the server sent.";

/** @typedef {import("./conversation.js").Exchange} Exchange */

/** A reply in the transcript. */
export class ReplyView {
  #item = document.getElementById("reply-template").content.firstElementChild.cloneNode(true);
  #article = this.#item.querySelector(".reply");
  #words = this.#item.querySelector(".words");
  #notice = this.#item.querySelector(".notice");
  #noticeIsTemporary = false;
  #action = this.#item.querySelector(".action");
  #stopCountdown = () => {};
  #stopNoticeCountdown = () => {};
  #grew;

  /** All text is in one node, so appending costs the same however long it is. */
  #node = document.createTextNode("");
  #pending = "";
  /** The reasoning to show in the next frame; null if there is nothing new. */
  #pendingReasoning = null;
  #frame = 0;

  /**
   * @param {Element} transcript The element to which it is added.
   * @param {() => void} grew Called when it may have become taller.
   */
  constructor(transcript, grew) {
    this.#grew = grew;
    this.#item.querySelector(".text").append(this.#node);
    this.#showStatus("waiting", WAITING);
    transcript.append(this.#item);
  }

  /** @param {string} id */
  identify(id) {
    this.#article.dataset.reply = id;
  }

  /** Adds text in the next frame. A hidden page draws no frames, so there the text is added at once. */
  append(text) {
    this.#pending += text;
    this.#schedule();
  }

  /**
   * Shows the model's reasoning, folded, in the next frame.
   *
   * @param {string} reasoning All of it so far.
   */
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
    this.#flushReasoning();
    if (this.#pending === "") return;
    this.#node.appendData(this.#pending);
    this.#pending = "";
    this.connected();
    this.#grew();
  }

  #flushReasoning() {
    if (this.#pendingReasoning === null) return;
    const details = this.#item.querySelector(".reasoning");
    details.hidden = this.#pendingReasoning === "";
    details.querySelector(".reasoning-text").textContent = this.#pendingReasoning;
    this.#pendingReasoning = null;
    this.#grew();
  }

  /** Replaces all text so far. */
  replace(text) {
    this.#pending = "";
    this.#node.data = text;
    this.#grew();
  }

  /**
   * Shows that the connection works.
   *
   * @returns {boolean} Whether it was lost before.
   */
  connected() {
    const back = this.#status === "reconnecting";
    if (this.#node.length > 0) {
      if (this.#status !== "running") this.#showStatus("running", "Writing…");
      this.#hideTemporaryNotice();
    } else if (back) {
      this.#showStatus("waiting", WAITING);
    }
    return back;
  }

  /**
   * Shows that the connection is lost.
   *
   * @returns {boolean} Whether it worked before.
   */
  reconnecting() {
    if (this.#status === "reconnecting") return false;
    this.#showStatus("reconnecting", "Reconnecting…");
    return true;
  }

  /**
   * Shows a sentence under the text.
   *
   * @param {string} words
   * @param {boolean} [temporary] Whether to hide it when the first words arrive.
   * @param {number} [wait] The length of the wait that it announces, in milliseconds.
   */
  notice(words, temporary = false, wait = 0) {
    this.#stopNoticeCountdown();
    this.#stopNoticeCountdown = countdown(Date.now() + wait, (left) => {
      this.#notice.textContent = left > 0 ? `${words} In ${spellWait(left)}.` : words;
    });
    this.#notice.hidden = false;
    this.#noticeIsTemporary = temporary;
    this.#grew();
  }

  /**
   * Shows how the reply ended.
   *
   * @param {Exchange} exchange
   */
  end(exchange) {
    const { kind, words } = outcomeOf(exchange);
    this.flush();
    this.#hideTemporaryNotice();
    this.#article.dataset.outcome = kind;
    this.#article.dataset.proof = exchange.proof;
    this.#article.removeAttribute("aria-busy");
    this.#item.querySelector("use").setAttribute("href", `#shape-${kind}`);
    this.#showStatus(exchange.end.status, words);
    if (exchange.proof === "mismatch") this.notice(MISMATCH);

    const figures = this.#item.querySelector(".figures");
    figures.replaceChildren(...figuresOf(exchange).map(([name, value]) => figure(name, value)));
    figures.hidden = figures.childElementCount === 0;
    this.#grew();
  }

  /**
   * Shows a button for the next step.
   *
   * @param {string} words
   * @param {() => void} act
   * @param {number} [from] The time before which the button is disabled.
   */
  offer(words, act, from = 0) {
    this.#action.hidden = false;
    this.#action.onclick = act;
    this.#stopCountdown = countdown(from, (left) => {
      this.#action.disabled = left > 0;
      this.#action.textContent = left > 0 ? `${words} in ${spellWait(left)}` : words;
    });
    this.#grew();
  }

  /** Hides the button: a newer prompt has made it obsolete. */
  withdrawOffer() {
    this.#stopCountdown();
    this.#stopNoticeCountdown();
    this.#action.hidden = true;
  }

  /** Removes the reply from the transcript. */
  remove() {
    this.withdrawOffer();
    this.#item.remove();
  }

  get #status() {
    return this.#article.dataset.status;
  }

  #showStatus(status, words) {
    this.#article.dataset.status = status;
    this.#words.textContent = words;
  }

  #hideTemporaryNotice() {
    if (!this.#noticeIsTemporary) return;
    this.#stopNoticeCountdown();
    this.#notice.hidden = true;
  }
}

/**
 * Describes how a reply ended.
 *
 * @param {Exchange} exchange
 * @returns {{kind: "complete"|"stopped"|"unread"|"length"|"filtered"|"failed", words: string}}
 */
export function outcomeOf({ end, stopped }) {
  if (end.status === "completed") {
    if (end.finish_reason === "length") return { kind: "length", words: "Cut short: the reply reached its length limit." };
    if (end.finish_reason === "other") return { kind: "complete", words: "Ended by the model, for a reason that is not known." };
    return { kind: "complete", words: "Complete." };
  }
  if (end.status === "stopped") {
    if (end.reason === "unread") return { kind: "unread", words: "Stopped because no one was reading it." };
    return { kind: "stopped", words: stopped ? "Stopped by you." : "Stopped by another viewer." };
  }
  const words = end.error?.message ?? "no reason was given.";
  const filtered = end.finish_reason === "content_filter" || ["prompt_filtered", "reply_filtered"].includes(end.error?.code);
  return filtered ? { kind: "filtered", words: `Filtered: ${words}` } : { kind: "failed", words: `Failed: ${words}` };
}

/** @returns {[string, string][]} Names and values; unknown figures are left out. */
function figuresOf({ end, deltas }) {
  const tokens = end.usage?.completion_tokens;
  const about = end.usage?.estimated ? "about " : "";
  const count = tokens !== undefined ? ["Tokens", about + tokens.toLocaleString()] : deltas > 0 && ["Deltas", deltas.toLocaleString()];
  return [
    typeof end.ms?.first === "number" && ["First words", spellDuration(end.ms.first)],
    typeof end.ms?.total === "number" && ["Total", spellDuration(end.ms.total)],
    count,
    end.model && ["Model", end.model],
  ].filter(Boolean);
}

/** Builds the elements of one figure. */
function figure(name, value) {
  const group = document.createElement("div");
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  term.textContent = name;
  detail.textContent = value;
  group.append(term, detail);
  return group;
}

/**
 * Calls `tick` every second with the time left, until none is.
 *
 * @param {number} until
 * @param {(left: number) => void} tick
 * @returns {() => void} Stops it early.
 */
export function countdown(until, tick) {
  const timer = setInterval(step, 1_000);
  function step() {
    const left = Math.max(0, until - Date.now());
    if (left === 0) clearInterval(timer);
    tick(left);
  }
  step();
  return () => clearInterval(timer);
}

/** Formats a time to wait, rounded up. */
export function spellWait(ms) {
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.ceil(seconds / 3_600)} h`;
}

/** Formats a measured time. */
function spellDuration(ms) {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

