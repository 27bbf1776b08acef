/** The client: starting a reply, and following it through whatever happens to its connection. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { Clock, Source, load } from "./modules.mjs";

const { RequestError, Viewer, newKey, startReply, stopReply } = await load("replies.js");

const PATHS = { events: "/v1/replies/7/events", self: "/v1/replies/7" };

let clock;
/** The requests that were made, and the answers that are left: a response, or an error of the network. */
let requests, answers;

beforeEach(() => {
  clock = new Clock();
  globalThis.location = new URL("http://page.test/");
  globalThis.EventSource = Source;
  Source.all = [];
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

const json = (value, status = 200) => new Response(JSON.stringify(value), { status });
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const bytes = (text) => Buffer.byteLength(text);
const endOf = (text, more) => ({ status: "completed", finish_reason: "stop", bytes: bytes(text), sha256: sha256(text), ...more });
const snapshotOf = (text, last, more = { status: "running" }) => json({ text, last_event_id: last, ...more });

/** Lets what is pending go on, until so much time has passed. */
async function settle(ms = 0) {
  for (let turn = 0; turn < 20; turn++) {
    clock.advance(ms / 20);
    await turnOfTheLoop();
  }
}

const turnOfTheLoop = () => new Promise(setImmediate);

/** A viewer, and the calls that its listener got. */
function view(text) {
  const calls = [];
  const names = ["connected", "reconnecting", "appended", "replaced", "reasoned", "noticed", "ended"];
  const listener = Object.fromEntries(names.map((name) => [name, (...values) => calls.push([name, ...values])]));
  const viewer = new Viewer(PATHS, listener, text);
  const of = (name) => calls.filter(([called]) => called === name).map(([, ...values]) => values);
  /** What it was told at the end. The hash is made on a thread of its own. */
  const end = async () => {
    const deadline = performance.now() + 10_000;
    while (of("ended").length === 0) {
      assert.ok(performance.now() < deadline, "the end is not told");
      clock.advance(0);
      await turnOfTheLoop();
    }
    assert.equal(of("ended").length, 1);
    return of("ended")[0];
  };
  return { viewer, calls, of, appended: () => of("appended").flat(), end };
}

/** A viewer that has got `start` and these deltas. */
function following(...deltas) {
  const seen = view();
  seen.viewer.follow();
  Source.newest.send(1, "start", {});
  deltas.forEach((text, index) => Source.newest.send(index + 2, "delta", { text }));
  return seen;
}

test("each event is told once, in order, and the end with the proof of its text", async () => {
  const { viewer, appended, end: told, of } = following("río ", "🌊");
  assert.equal(Source.newest.url.href, "http://page.test/v1/replies/7/events");
  Source.newest.send(4, "notice", { message: "hm" });
  const end = endOf("río 🌊");
  Source.newest.send(5, "end", end);
  // An open one would connect again once the server closes.
  assert.equal(Source.newest.readyState, Source.CLOSED);
  assert.deepEqual(await told(), [end, "sha256", 2]);
  assert.deepEqual(appended(), ["río ", "🌊"]);
  assert.deepEqual(of("noticed"), [[{ message: "hm" }]]);
  assert.equal(viewer.text, "río 🌊");
  assert.deepEqual([Source.all.length, requests.length], [1, 0]);
});

test("condemned text is replaced, and the proof is of what is left", async () => {
  const { end, of, viewer } = following("bad ", "words");
  Source.newest.send(4, "replace", { text: "good", why: "filtered" });
  Source.newest.send(5, "delta", { text: " words" });
  Source.newest.send(6, "end", endOf("good words"));
  assert.equal((await end())[1], "sha256");
  assert.deepEqual(of("replaced"), [["good", "filtered"]]);
  assert.equal(viewer.text, "good words");
});

test("reasoning is no part of the text, and goes with text that the content filter retracts", async () => {
  const { end, of, viewer } = following("Wah ");
  Source.newest.send(3, "reasoning", { text: "Hm. " });
  Source.newest.send(4, "reasoning", { text: "So." });
  assert.deepEqual([viewer.text, viewer.reasoning], ["Wah ", "Hm. So."]);
  Source.newest.send(5, "replace", { text: "", why: "content_filter" });
  Source.newest.send(6, "delta", { text: "gwaan" });
  Source.newest.send(7, "end", endOf("gwaan"));
  assert.equal((await end())[1], "sha256");
  assert.deepEqual(of("reasoned"), [["Hm. "], ["Hm. So."], [""]]);
});

test("a snapshot has the reasoning so far, and more of it follows", async () => {
  const { of, viewer, end } = view("Wah ");
  answers = [snapshotOf("Wah ", 3, { status: "running", reasoning: "Hm. " })];
  viewer.resume();
  await settle();
  Source.newest.send(4, "reasoning", { text: "So." });
  Source.newest.send(5, "end", endOf("Wah "));
  assert.equal((await end())[1], "sha256");
  assert.deepEqual(of("reasoned"), [["Hm. "], ["Hm. So."]]);
});

test("an event that comes again is ignored", () => {
  const { appended } = following("one ");
  Source.newest.send(2, "delta", { text: "one " });
  Source.newest.send(1, "start", {});
  Source.newest.send(3, "delta", { text: "two" });
  assert.deepEqual(appended(), ["one ", "two"]);
});

test("after a gap, or data that cannot be read, the snapshot is shown and the events after it", async () => {
  for (const [id, data] of [
    [4, { text: "three" }],
    [3, '{"text": "tw'],
  ]) {
    const { appended, end } = following("one ");
    answers = [snapshotOf("one two three ", 4)];
    const lost = Source.newest;
    lost.send(id, "delta", data);
    assert.equal(lost.readyState, Source.CLOSED);
    await settle();
    assert.deepEqual(appended(), ["one ", "two three "]);
    assert.equal(Source.newest.after, "4");
    // What the old connection had still queued comes too late.
    lost.send(5, "delta", { text: "late" });
    Source.newest.send(5, "delta", { text: "four" });
    Source.newest.send(6, "end", endOf("one two three four"));
    // How many deltas the snapshot was made of is not known.
    assert.deepEqual((await end()).slice(1), ["sha256", null]);
    assert.deepEqual(appended(), ["one ", "two three ", "four"]);
  }
});

test("a snapshot that does not go on from the text replaces it", async () => {
  const { of, viewer } = following("bad words");
  answers = [snapshotOf("good", 5)];
  Source.newest.send(9, "delta", { text: "x" });
  await settle();
  assert.deepEqual(of("replaced"), [["good", undefined]]);
  assert.equal(viewer.text, "good");
});

test("a snapshot of a replica that is behind takes nothing back", async () => {
  const { viewer, of } = following("one ", "two");
  answers = [snapshotOf("one ", 2)];
  Source.newest.fail(Source.CLOSED);
  await settle();
  assert.deepEqual([viewer.text, Source.newest.after, of("replaced")], ["one two", "3", []]);
});

test("a ping tells whether an event was lost", async () => {
  const { of } = following("one ");
  Source.newest.send(2, "ping", { last: 2 });
  assert.deepEqual([requests.length, of("reconnecting").length], [0, 0]);
  answers = [snapshotOf("one two", 3)];
  Source.newest.send(3, "ping", { last: 3 });
  await settle();
  assert.equal(requests.length, 1);
  assert.equal(Source.newest.after, "3");
});

test("a connection that is silent for three pings is replaced by one from the cursor on", () => {
  const { of } = following("one ");
  const silent = Source.newest;
  clock.advance(29_000);
  assert.equal(Source.newest, silent);
  clock.advance(11_000);
  assert.equal(silent.readyState, Source.CLOSED);
  assert.deepEqual([Source.all.length, Source.newest.after, of("reconnecting").length], [2, "2", 1]);
});

test("pings keep a silent connection", () => {
  following("one ");
  for (let count = 0; count < 10; count++) {
    clock.advance(10_000);
    Source.newest.send(2, "ping", { last: 2 });
  }
  assert.equal(Source.all.length, 1);
});

test("a cut is left to the browser, a refusal is not", async () => {
  const { of } = following("one ");
  Source.newest.fail(Source.CONNECTING);
  await settle();
  assert.deepEqual([Source.all.length, requests.length, of("reconnecting").length], [1, 0, 1]);
  answers = [snapshotOf("one ", 2)];
  Source.newest.fail(Source.CLOSED);
  await settle();
  assert.deepEqual([Source.all.length, requests[0].path], [2, PATHS.self]);
});

test("a snapshot is asked for until it comes", async () => {
  const { viewer, of } = following("one ");
  answers = [new TypeError("cut"), json({ detail: "later" }, 503), json({}, 429), snapshotOf("one two", 3)];
  Source.newest.fail(Source.CLOSED);
  await settle(20_000);
  assert.deepEqual([requests.length, viewer.text], [4, "one two"]);
  assert.deepEqual(of("ended"), []);
});

test("a reply that is gone ends as failed with the text that had come", async () => {
  const { viewer, end: told } = following("one ");
  answers = [json({ code: "reply_not_found", detail: "gone" }, 404)];
  Source.newest.fail(Source.CLOSED);
  const [end, proof] = await told();
  assert.deepEqual([end.status, end.error.code, end.error.retryable, proof], ["failed", "reply_not_found", true, "unchecked"]);
  assert.match(end.error.message, /no longer on the server/);
  assert.equal(viewer.text, "one ");
});

test("a page that comes back shows the snapshot and follows from there, or shows the end", async () => {
  const running = view("one ");
  answers = [snapshotOf("one two", 3)];
  running.viewer.resume();
  await settle();
  assert.deepEqual([running.appended(), Source.newest.after], [["two"], "3"]);

  Source.all = [];
  const done = view("one ");
  answers = [snapshotOf("one two", 4, endOf("one two"))];
  done.viewer.resume();
  const [end, proof] = await done.end();
  assert.deepEqual([end.status, proof], ["completed", "sha256"]);
  assert.equal(Source.all.length, 0);
});

test("a text that does not match its end is replaced by the server's", async (t) => {
  const warned = t.mock.method(console, "warn", () => {});
  const { viewer, end: told } = following("oen ");
  answers = [snapshotOf("one ", 3, endOf("one "))];
  Source.newest.send(3, "end", endOf("one "));
  assert.equal((await told())[1], "sha256");
  assert.deepEqual([viewer.text, warned.mock.callCount()], ["one ", 1]);
});

test("a mismatch that cannot be repaired is said", async (t) => {
  t.mock.method(console, "warn", () => {});
  const { end } = following("oen ");
  answers = [json({}, 404)];
  Source.newest.send(3, "end", endOf("one "));
  assert.equal((await end())[1], "mismatch");
});

test("outside secure contexts the length is compared alone", async (t) => {
  t.mock.getter(crypto, "subtle", () => undefined);
  const { end } = following("one ");
  Source.newest.send(3, "end", endOf("one ", { sha256: "of something else" }));
  assert.equal((await end())[1], "bytes");
});

test("a viewer that was closed is told nothing more", async () => {
  const { viewer, calls } = following("one ");
  const before = calls.length;
  answers = [snapshotOf("one two", 3)];
  Source.newest.fail(Source.CLOSED);
  viewer.close();
  await settle();
  viewer.checkConnection(true);
  await settle();
  assert.deepEqual(calls.slice(before).map(([name]) => name), ["reconnecting", "reconnecting"]);
  assert.equal(Source.all.length, 1);
});

test("a pause closes the connection, and a look at it afterwards opens one from the cursor on", () => {
  const { viewer } = following("one ");
  viewer.pause();
  assert.equal(Source.newest.readyState, Source.CLOSED);
  viewer.checkConnection();
  assert.deepEqual([Source.all.length, Source.newest.after], [2, "2"]);
  // This one lives.
  viewer.checkConnection();
  assert.equal(Source.all.length, 2);
  clock.advance(16_000);
  viewer.checkConnection();
  assert.equal(Source.all.length, 3);
});

test("a look at the connection ends the wait before the next attempt", async () => {
  const { viewer } = following("one ");
  answers = [new TypeError("cut"), snapshotOf("one ", 2)];
  Source.newest.fail(Source.CLOSED);
  await settle();
  assert.equal(requests.length, 1);
  viewer.checkConnection();
  await settle();
  assert.equal(requests.length, 2);
});

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
  const refused = assert.rejects(startReply("{}", "b-key"), (error) => error.status === 0 && error.outcomeUnknown);
  await settle(5_000);
  await refused;
});

test("a refusal is told in the server's words and not tried again", async () => {
  answers = [json({ code: "rate_limited", detail: "Too many.", retry_after_ms: 1500 }, 429)];
  await assert.rejects(startReply("{}", "a-key"), { message: "Too many.", status: 429, code: "rate_limited", retryAfterMs: 1500 });
  assert.equal(requests.length, 1);
});

test("an error page of a proxy is told by its status", async () => {
  answers = [new Response("<html>", { status: 502, statusText: "Bad Gateway" })];
  await assert.rejects(startReply("{}", "a-key"), { message: "The server answered 502 Bad Gateway.", status: 502 });
});

test("a stop outlives the page and is tried three times", async () => {
  answers = [new TypeError("cut"), new TypeError("cut"), json({ status: "stopped" }, 202)];
  const stopped = stopReply(PATHS.self);
  await settle(5_000);
  assert.equal((await stopped).status, "stopped");
  assert.deepEqual(requests.map(({ method, keepalive }) => [method, keepalive]), Array(3).fill(["DELETE", true]));
});

test("an error knows whether the request may have been carried out and whether to try again", () => {
  for (const [status, outcomeUnknown, final] of [
    [0, true, false],
    [400, false, true],
    [404, false, true],
    [408, false, false],
    [425, false, false],
    [429, false, false],
    [500, true, false],
    [503, true, false],
  ]) {
    const error = new RequestError("why", { status });
    assert.deepEqual([error.outcomeUnknown, error.final], [outcomeUnknown, final], String(status));
  }
});

test("a key is 128 random bits in hexadecimal", () => {
  const keys = new Set(Array.from({ length: 100 }, newKey));
  assert.equal(keys.size, 100);
  for (const key of keys) assert.match(key, /^[0-9a-f]{32}$/);
});
