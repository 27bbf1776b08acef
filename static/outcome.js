/** How a reply ended, and what a reader can do next. Pure: it knows neither the page nor a language. */

import { isBlank } from "./conversation.js";
import { GONE } from "./snapshot.js";

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./types.js").End} End */

/** @typedef {"complete"|"other"|"empty"|"tools"|"stopped"|"unread"|"length"|"filtered"|"gone"|"failed"} Kind */
/** @typedef {"continue"|"again"|"edit"|"fresh"} Offer */

/**
 * @param {Exchange} exchange An exchange that has ended.
 * @returns {Kind}
 */
export function kindOf({ end, text }) {
  if (!end) throw new Error("a running reply has no outcome");
  if (end.status === "stopped") return end.reason === "unread" ? "unread" : "stopped";
  if (end.status === "completed") {
    if (end.finish_reason === "length") return "length";
    if (["tool_calls", "function_call"].includes(end.finish_reason ?? "")) return "tools";
    if (end.finish_reason === "other") return "other";
    return isBlank(text) ? "empty" : "complete";
  }
  const code = end.error?.code ?? "";
  if (end.finish_reason === "content_filter" || ["prompt_filtered", "reply_filtered"].includes(code)) return "filtered";
  return code === GONE ? "gone" : "failed";
}

/**
 * The next steps that help after this outcome; the first one is what most readers want.
 *
 * @param {Exchange} exchange
 * @returns {Offer[]}
 */
export function offersOf(exchange) {
  const hasText = !isBlank(exchange.before + exchange.text);
  switch (kindOf(exchange)) {
    case "complete":
    case "other":
    case "empty":
    case "tools":
      return ["again"];
    case "length":
      return hasText ? ["continue", "again"] : ["again"];
    case "stopped":
    case "unread":
    case "gone":
      return hasText ? ["continue", "again"] : ["again"];
    case "filtered":
      return ["edit"];
    case "failed":
      if (exchange.end?.error?.code === "context_too_long") return ["fresh"];
      return exchange.end?.error?.retryable ? ["again"] : ["edit"];
  }
}

/**
 * Whether the next reply would also fail if this exchange were sent along.
 *
 * @param {End} end
 * @param {string} text
 */
export function isUnrepeatable(end, text) {
  if (end.status !== "failed" || end.error?.retryable) return false;
  return isBlank(text) || end.finish_reason === "content_filter";
}

/**
 * Picks the fields of the end from an `end` event or a snapshot.
 *
 * @param {End} end
 * @returns {End}
 */
export function endOf({ status, finish_reason, reason, model, usage, bytes, ms, error }) {
  return { status, finish_reason, reason, model, usage, bytes, ms, error };
}
