/** What the page says of a reply: its outcome, its failure, its notice, its figures. Pure. */

import { kindOf } from "./outcome.js";
import { LONGEST_PROMPT_KIB, TOO_LONG } from "./run.js";
import { spellDuration, spellWait, words } from "./words.js";

const QUIET_AFTER_MS = 5_000;
const LONG_AFTER_MS = 20_000;
const SHORTEST_WRITING_MS = 500;

/** @typedef {import("./types.js").Exchange} Exchange */

/**
 * How far a running reply is.
 *
 * @param {import("./run.js").State} state
 * @param {boolean} isEmpty Whether no text has arrived.
 * @returns {[string, string]} The status for the style sheet, and the words.
 */
export function progressOf({ phase, connected, problem, heardAt, stopping }, isEmpty) {
  if (phase === "unsent" && problem) return ["unsent", problemWords(problem.error)];
  if (phase === "sending") return ["waiting", words.sending];
  if (!connected) return ["reconnecting", words.reconnecting];
  if (stopping) return [isEmpty ? "waiting" : "running", words.stopping];
  const silence = Date.now() - heardAt;
  const wait = spellWait(silence);
  if (!isEmpty) return ["running", silence > QUIET_AFTER_MS ? words.quiet(wait) : words.writing];
  if (silence < QUIET_AFTER_MS) return ["waiting", words.waiting];
  return ["waiting", silence < LONG_AFTER_MS ? words.thinking(wait) : words.thinkingLong(wait)];
}

/**
 * How a reply ended, in words.
 *
 * @param {Exchange} exchange
 * @returns {string}
 */
export function outcomeWords(exchange) {
  const kind = kindOf(exchange);
  switch (kind) {
    case "stopped":
      return exchange.stopped ? words.outcomes.stopped : words.outcomes.stoppedElsewhere;
    case "filtered":
      if (exchange.end?.error?.code === "prompt_filtered") return words.outcomes.promptFiltered;
      return exchange.text === "" ? words.outcomes.filtered : words.outcomes.filteredPart;
    case "failed":
      return failureWords(exchange.end?.error);
    default:
      return words.outcomes[kind];
  }
}

/** @param {{code: string, message: string}|undefined} error */
function failureWords(error) {
  const known = /** @type {Record<string, string>} */ (words.failures)[error?.code ?? ""];
  return known ?? error?.message ?? words.unknownFailure;
}

/** @param {import("./types.js").Notice} notice */
export function noticeWords({ code, message }) {
  const known = /** @type {Record<string, string>} */ (words.notices)[code];
  return known ?? message;
}

/**
 * Why a prompt was not sent, or a reply not stopped.
 *
 * @param {import("./requests.js").RequestError} error
 */
export function problemWords({ code, status, message }) {
  if (status === 0) return words.unsent.unreachable;
  if (code === TOO_LONG || status === 413) return words.unsent.tooLong(LONGEST_PROMPT_KIB);
  if (status === 401) return words.unsent.signedOut;
  if (status === 429) return words.unsent.rateLimited;
  if (code === "draining") return words.unsent.draining;
  return words.unsent.refused(message || words.unsent.status(status));
}

/**
 * @param {Exchange} exchange
 * @returns {[string, string][]} Names and values; unknown figures are left out.
 */
export function figuresOf({ end, deltas }) {
  const { first, total, tokens, speed, model, deltas: pieces } = words.figures;
  /** @type {[string, string][]} */
  const figures = [];
  const count = end?.usage?.completion_tokens;
  if (typeof end?.ms?.first === "number") figures.push([first, spellDuration(end.ms.first)]);
  if (typeof end?.ms?.total === "number") figures.push([total, spellDuration(end.ms.total)]);
  const spelled = count?.toLocaleString(words.lang);
  if (count !== undefined) figures.push([tokens, end?.usage?.estimated ? words.about(spelled) : spelled]);
  else if (deltas) figures.push([pieces, deltas.toLocaleString(words.lang)]);
  const writing = (end?.ms?.total ?? NaN) - (end?.ms?.first ?? NaN);
  // Of a reply that came in one piece, or of a counting that is estimated, a speed would tell nothing.
  if (count && writing >= SHORTEST_WRITING_MS && !end?.usage?.estimated) {
    figures.push([speed, words.tokensPerSecond(Math.round((count / writing) * 1_000).toLocaleString(words.lang))]);
  }
  if (end?.model) figures.push([model, end.model]);
  return figures;
}
