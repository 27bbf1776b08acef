/** Following a reply through whatever happens to its connection. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";

import { Clock, Source, load } from "./modules.mjs";

const { GONE } = await load("snapshot.js");
const { Viewer } = await load("viewer.js");

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

test("a connection that is silent for one and a half pings is replaced by one from the cursor on", () => {
  for (const ping of [10_000, 2_000]) {
    Viewer.pingIntervalMs = ping;
    Source.all = [];
    const { of, viewer } = following("one ");
    const silent = Source.newest;
    clock.advance(1.5 * ping);
    assert.equal(Source.newest, silent);
    clock.advance(1_000);
    assert.equal(silent.readyState, Source.CLOSED);
    assert.deepEqual([Source.all.length, Source.newest.after, of("reconnecting").length], [2, "2", 1]);
    viewer.close();
  }
  Viewer.pingIntervalMs = 10_000;
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
  answers = [json({ code: "not_found", detail: "gone" }, 404)];
  Source.newest.fail(Source.CLOSED);
  const [end, proof] = await told();
  assert.deepEqual([end.status, end.error.code, end.error.retryable, proof], ["failed", GONE, true, "unchecked"]);
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

test("polling closes the stream and shows what each snapshot adds, without a word of reconnecting", async () => {
  const { viewer, appended, of } = following("one ");
  answers = [snapshotOf("one two ", 3), snapshotOf("one two three", 4)];
  viewer.poll(10_000);
  assert.equal(Source.newest.readyState, Source.CLOSED);
  await settle(9_999);
  assert.equal(requests.length, 0);
  await settle(1);
  assert.deepEqual(appended(), ["one ", "two "]);
  await settle(10_000);
  assert.deepEqual(appended(), ["one ", "two ", "three"]);
  assert.deepEqual([Source.all.length, of("reconnecting")], [1, []]);
});

test("a poll that fails is told, and told again once it works", async () => {
  const { viewer, of } = following("one ");
  viewer.poll(10_000);
  const connected = of("connected").length;
  answers = [new TypeError("cut"), snapshotOf("one two", 3)];
  await settle(10_000);
  assert.equal(of("reconnecting").length, 1);
  await settle(2_000);
  assert.deepEqual([viewer.text, of("connected").length > connected], ["one two", true]);
});

test("a poll shows the end", async () => {
  const { viewer, end } = following("one ");
  viewer.poll(10_000);
  answers = [snapshotOf("one two", 4, endOf("one two"))];
  await settle(10_000);
  assert.deepEqual((await end())[1], "sha256");
});

test("after polling, the stream continues at the cursor of the last snapshot", async () => {
  const { viewer, appended } = following("one ");
  viewer.poll(10_000);
  answers = [snapshotOf("one two ", 3)];
  await settle(10_000);
  viewer.follow();
  assert.deepEqual([Source.all.length, Source.newest.after], [2, "3"]);
  Source.newest.send(4, "delta", { text: "three" });
  assert.deepEqual(appended(), ["one ", "two ", "three"]);
  await settle(20_000);
  assert.equal(requests.length, 1, "the timer of the polls is gone");
});

test("a page that returns to a polled reply asks at once", async () => {
  const { viewer } = following("one ");
  viewer.poll(10_000);
  answers = [snapshotOf("one two", 3)];
  viewer.checkConnection();
  await settle();
  assert.equal(viewer.text, "one two");
});
