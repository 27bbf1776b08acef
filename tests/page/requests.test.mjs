/** Starting and stopping a reply, through whatever happens to the requests. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Clock, load } from "./modules.mjs";

const { RequestError, newKey, startReply, stopReply } = await load("requests.js");

let clock;
/** The requests that were made, and the answers that are left: a response, or an error of the network. */
let requests, answers;

beforeEach(() => {
  clock = new Clock();
  requests = [];
  answers = [];
  globalThis.fetch = async (path, options) => {
    requests.push({ path, ...options });
    const answer = answers.shift() ?? new TypeError("no answer");
    if (answer instanceof Error) throw answer;
    return answer;
  };
});

afterEach(() => clock.restore());

const PATHS = { events: "/v1/replies/7/events", self: "/v1/replies/7" };
const json = (value, status = 200, headers = {}) => new Response(JSON.stringify(value), { status, headers });

/** Lets what is pending go on, until so much time has passed. */
async function settle(ms = 0) {
  for (let turn = 0; turn < 20; turn++) {
    clock.advance(ms / 20);
    await new Promise(setImmediate);
  }
}

test("a POST without an answer is sent once more with its key", async () => {
  const started = { id: "7", ...PATHS };
  answers = [new TypeError("cut"), json(started, 201)];
  const reply = startReply('{"prompt":"river"}', "a-key");
  await settle(5_000);
  assert.deepEqual(await reply, started);
  assert.deepEqual(
    requests.map(({ method, headers, body }) => [method, headers["Idempotency-Key"], body]),
    Array(2).fill(["POST", "a-key", '{"prompt":"river"}']),
  );

  answers = [new TypeError("cut"), new TypeError("cut"), json(started, 201)];
  const refused = assert.rejects(startReply("{}", "b-key"), { message: "", status: 0 });
  await settle(5_000);
  await refused;
});

test("a refusal is told in the server's words and not tried again", async () => {
  answers = [json({ code: "rate_limited", detail: "Too many.", retry_after_ms: 1500 }, 429)];
  await assert.rejects(startReply("{}", "a-key"), { message: "Too many.", status: 429, code: "rate_limited", retryAfterMs: 1500 });
  assert.equal(requests.length, 1);
});

test("an error page of a proxy is known by its status and its wait", async () => {
  answers = [new Response("<html>", { status: 502 }), json({}, 429, { "Retry-After": "7" })];
  await assert.rejects(startReply("{}", "a-key"), { message: "", status: 502, retryAfterMs: undefined });
  await assert.rejects(startReply("{}", "a-key"), { status: 429, retryAfterMs: 7_000 });
});

test("a stop outlives the page and is tried three times", async () => {
  answers = [new TypeError("cut"), new TypeError("cut"), json({ status: "stopped" }, 202)];
  const stopped = stopReply(PATHS.self);
  await settle(5_000);
  assert.equal((await stopped).status, "stopped");
  assert.deepEqual(requests.map(({ method, keepalive }) => [method, keepalive]), Array(3).fill(["DELETE", true]));
});

test("an error knows whether a retry would get the same answer", () => {
  for (const [status, final] of [[0, false], [400, true], [401, false], [404, true], [408, false], [425, false], [429, false], [500, false], [503, false]]) {
    assert.equal(new RequestError("why", { status }).final, final, String(status));
  }
});

test("a key is 128 random bits in hexadecimal", () => {
  const keys = new Set(Array.from({ length: 100 }, newKey));
  assert.equal(keys.size, 100);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});
