/** How a reply ended: its kind, its words, and what can be done next. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock, load } from "./modules.mjs";

const { isUnrepeatable, kindOf, offersOf } = await load("outcome.js");
const { figuresOf, noticeWords, outcomeWords, problemWords } = await load("spoken.js");
const { RequestError } = await load("requests.js");
const { GONE } = await load("snapshot.js");
const { countdown } = await load("clock.js");
const { spellWait, words } = await load("words.js");

const ended = (end, text = "text", more = {}) => ({ before: "", text, end, ...more });
const completed = (finish_reason) => ({ status: "completed", finish_reason });
const failed = (code, more) => ({ status: "failed", finish_reason: null, error: { code, message: "why.", retryable: false }, ...more });
const retryable = (code) => failed(code, { error: { code, message: "why.", retryable: true } });

test("each outcome has a kind, words and next steps", () => {
  for (const [exchange, kind, said, offers] of [
    [ended(completed("stop")), "complete", "Complete", ["again"]],
    [ended(completed("stop"), " \n"), "empty", /no text/, ["again"]],
    [ended(completed("tool_calls")), "tools", /a tool/, ["again"]],
    [ended(completed("other")), "other", /not known/, ["again"]],
    [ended(completed("length")), "length", /length limit/, ["continue", "again"]],
    [ended(completed("length"), ""), "length", /length limit/, ["again"]],
    [ended({ status: "stopped", reason: "unread" }), "unread", /while you were away/, ["continue", "again"]],
    [ended({ status: "stopped", reason: "viewer" }, "text", { stopped: true }), "stopped", /by you/, ["continue", "again"]],
    [ended({ status: "stopped", reason: "viewer" }, ""), "stopped", /another tab/, ["again"]],
    [ended(failed("prompt_filtered"), ""), "filtered", /reword/, ["edit"]],
    [ended(failed("reply_filtered"), ""), "filtered", /took this reply back/, ["edit"]],
    [ended(failed("other", { finish_reason: "content_filter" })), "filtered", /cut this reply off/, ["edit"]],
    [ended(retryable(GONE)), "gone", /no longer kept/, ["continue", "again"]],
    [ended(retryable("upstream_timeout")), "failed", /in time/, ["again"]],
    [ended(failed("upstream_auth"), ""), "failed", /key was refused/, ["edit"]],
    [ended(failed("context_too_long"), ""), "failed", /too long/, ["fresh"]],
    [ended(failed("a_code_of_tomorrow"), ""), "failed", "why.", ["edit"]],
    [ended({ status: "failed", finish_reason: null }, ""), "failed", /failed/, ["edit"]],
  ]) {
    assert.equal(kindOf(exchange), kind);
    assert.match(outcomeWords(exchange), said instanceof RegExp ? said : new RegExp(`^${said}$`));
    assert.deepEqual(offersOf(exchange), offers, kind);
  }
});

test("what would fail again is left out of later requests", () => {
  for (const [end, text, leftOut] of [
    [completed("stop"), "", false],
    [retryable("upstream_timeout"), "", false],
    [failed("upstream_auth"), "", true],
    [failed("too_long"), "text", false],
    [failed("reply_filtered", { finish_reason: "content_filter" }), "text", true],
  ]) {
    assert.equal(isUnrepeatable(end, text), leftOut);
  }
});

test("a prompt that was not sent says why", () => {
  for (const [facts, message, said] of [
    [{}, "", /once you are connected/],
    [{ status: 413 }, "The body is too large.", /240 KiB/],
    [{ status: 401 }, "", /sign in/],
    [{ status: 429 }, "Slow down.", /too many requests/],
    [{ status: 503, code: "draining" }, "", /restarts/],
    [{ status: 503 }, "The store is down.", "Not sent: The store is down."],
    [{ status: 502 }, "", "Not sent: the server answered 502."],
  ]) {
    assert.match(problemWords(new RequestError(message, facts)), said instanceof RegExp ? said : new RegExp(said));
  }
});

test("a notice of tomorrow is shown in the server's words", () => {
  assert.equal(noticeWords({ code: "retrying", message: "x" }), words.notices.retrying);
  assert.equal(noticeWords({ code: "tomorrow", message: "x" }), "x");
});

test("unknown figures are left out", () => {
  assert.deepEqual(figuresOf({ end: completed("stop") }), []);
  const end = { ...completed("stop"), usage: { completion_tokens: 1200 }, ms: { first: 340, total: 2_891 }, model: "m" };
  assert.deepEqual(figuresOf({ end, deltas: 7 }).map(([, value]) => value), ["340 ms", "2.9 s", "1,200", "470 tokens a second", "m"]);
  const estimated = { ...end, usage: { completion_tokens: 12, estimated: true } };
  assert.equal(figuresOf({ end: estimated })[2][1], "about 12");
  assert.equal(figuresOf({ end: estimated })[3][1], "m");
  const atOnce = { ...end, ms: { first: 340, total: 345 } };
  assert.deepEqual(figuresOf({ end: atOnce }).map(([, value]) => value), ["340 ms", "345 ms", "1,200", "m"]);
  assert.deepEqual(figuresOf({ end: completed("stop"), deltas: 7 }).map(([, value]) => value), ["7"]);
});

test("a wait is rounded up", () => {
  for (const [ms, said] of [
    [1, "1 s"],
    [1_000, "1 s"],
    [1_001, "2 s"],
    [119_000, "119 s"],
    [120_000, "2 min"],
    [120_001, "3 min"],
    [7_199_000, "120 min"],
    [7_200_000, "2 h"],
    [86_400_000, "24 h"],
  ]) {
    assert.equal(spellWait(ms), said, String(ms));
  }
});

test("a countdown ticks every second until no time is left", () => {
  const clock = new Clock();
  try {
    const ticks = [];
    countdown(Date.now() + 2_500, (left) => ticks.push(left));
    clock.advance(10_000);
    assert.deepEqual(ticks, [2_500, 1_500, 500, 0]);

    const stopped = [];
    const stop = countdown(Date.now() + 5_000, (left) => stopped.push(left));
    clock.advance(1_000);
    stop();
    clock.advance(10_000);
    assert.deepEqual(stopped, [5_000, 4_000]);
  } finally {
    clock.restore();
  }
});
