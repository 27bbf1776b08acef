/** The verdict on what stands between the page and its server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { verdictsOf } = await load("doctor.js");

const HEADERS = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store, no-transform", "content-encoding": null };

/** Twenty ticks that arrive with these delays. */
function ticks(delay) {
  return Array.from({ length: 20 }, (_, number) => ({ sent: number * 100, arrived: 5_000 + number * 100 + delay(number) }));
}

function kinds(examination) {
  return verdictsOf({ ticks: ticks(() => 3), silence: null, headers: HEADERS, protocol: "h2", ...examination }).map(({ kind }) => kind);
}

test("events that arrive as they are sent are well, on a slow and restless line too", () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(kinds({ ticks: ticks((number) => 700 + (number % 5) * 100) }), []);
});

test("events that arrive together have been held back, all of them or some", () => {
  assert.deepEqual(kinds({ ticks: ticks((number) => 1_900 - number * 100) }), ["buffered"]);
  assert.deepEqual(kinds({ ticks: ticks((number) => 12_000 - number * 100) }), ["buffered"]);
  assert.deepEqual(kinds({ ticks: ticks((number) => (number < 10 ? 1_000 - number * 100 : 0)) }), ["buffered"]);
});

test("each other fault has its name, and HTTP/1.1 is told", () => {
  assert.deepEqual(kinds({ headers: { ...HEADERS, "content-encoding": "gzip" } }), ["compressed"]);
  assert.deepEqual(kinds({ silence: 1_000 }), ["cut"]);
  assert.deepEqual(kinds({ headers: { ...HEADERS, "cache-control": "public" } }), ["headers"]);
  assert.deepEqual(kinds({ protocol: "http/1.1" }), ["six"]);
});
