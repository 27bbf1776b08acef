/** What the page says of a reply: its outcome and its times. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock, load } from "./modules.mjs";

const { countdown, outcomeOf, spellWait } = await load("reply-view.js");

test("each outcome has a kind, and words that tell it", () => {
  const error = (code) => ({ status: "failed", finish_reason: null, error: { code, message: "why." } });
  for (const [exchange, kind, words] of [
    [{ end: { status: "completed", finish_reason: "stop" } }, "complete", /^Complete\.$/],
    [{ end: { status: "completed", finish_reason: "length" } }, "length", /length limit/],
    [{ end: { status: "stopped", reason: "unread" } }, "unread", /no one was reading/],
    [{ end: { status: "stopped", reason: "viewer" }, stopped: true }, "stopped", /by you/],
    [{ end: { status: "stopped", reason: "viewer" } }, "stopped", /by another viewer/],
    [{ end: error("prompt_filtered") }, "filtered", /^Filtered: why\.$/],
    [{ end: error("reply_filtered") }, "filtered", /^Filtered: why\.$/],
    [{ end: { ...error("other"), finish_reason: "content_filter" } }, "filtered", /^Filtered: why\.$/],
    [{ end: error("upstream_timeout") }, "failed", /^Failed: why\.$/],
    [{ end: { status: "failed", finish_reason: null } }, "failed", /^Failed: no reason was given\.$/],
  ]) {
    const outcome = outcomeOf(exchange);
    assert.equal(outcome.kind, kind);
    assert.match(outcome.words, words);
  }
});

test("a wait is rounded up", () => {
  for (const [ms, words] of [
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
    assert.equal(spellWait(ms), words, String(ms));
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
