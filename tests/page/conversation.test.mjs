/** The conversation: what is saved of it, and what of it is sent. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Storage, load } from "./modules.mjs";

const { Conversation, MAX_BODY_BYTES, isBlank } = await load("conversation.js");

/** A conversation with these exchanges; the last one is the new prompt. */
function conversation(...exchanges) {
  const made = new Conversation();
  made.exchanges = exchanges.map(([prompt, text = "", more]) => ({ prompt, text, ...more }));
  return made;
}

function requestOf(made) {
  const { body, ...rest } = made.request(made.exchanges.at(-1));
  return { messages: JSON.parse(body).messages, body, ...rest };
}

const contents = (messages) => messages.map(({ content }) => content);
const bytes = (text) => new TextEncoder().encode(text).length;

beforeEach(() => {
  globalThis.sessionStorage = new Storage();
});

test("a request holds the conversation so far and the new prompt", () => {
  const { messages, trimmed, fits } = requestOf(conversation(["one", "ein"], ["two", "zwei"], ["three"]));
  assert.deepEqual(messages, [
    { role: "user", content: "one" },
    { role: "assistant", content: "ein" },
    { role: "user", content: "two" },
    { role: "assistant", content: "zwei" },
    { role: "user", content: "three" },
  ]);
  assert.deepEqual({ trimmed, fits }, { trimmed: false, fits: true });
});

test("a request leaves out blank replies and exchanges that are left out", () => {
  const made = conversation(["one", " \u0085"], ["gone", "weg", { leftOut: true }], ["three"]);
  const { messages, trimmed } = requestOf(made);
  assert.deepEqual(contents(messages), ["one", "three"]);
  assert.equal(trimmed, false);
});

test("later exchanges are not part of a request", () => {
  const made = conversation(["one", "ein"], ["two"], ["three"]);
  assert.deepEqual(contents(JSON.parse(made.request(made.exchanges[1]).body).messages), ["one", "ein", "two"]);
});

test("a request holds 64 messages at most and begins with a prompt", () => {
  const many = Array.from({ length: 40 }, (_, index) => [`prompt ${index}`, `reply ${index}`]);
  const { messages, trimmed } = requestOf(conversation(...many, ["last"]));
  assert.equal(trimmed, true);
  // The 64th from the end is a reply, which cannot come first.
  assert.equal(messages.length, 63);
  assert.equal(messages[0].content, "prompt 9");
});

test("a request is never longer than the server accepts, whatever its characters take", () => {
  for (const char of ["a", "é", "\n", '"', "語", "🌊", "\u0001"]) {
    const long = `x${char.repeat(30_000)}`;
    const { body, messages, trimmed, fits } = requestOf(conversation(...Array(9).fill([long, long]), ["last"]));
    assert.ok(bytes(body) <= MAX_BODY_BYTES, `${JSON.stringify(char)}: ${bytes(body)}`);
    assert.deepEqual({ trimmed, fits }, { trimmed: true, fits: true });
    assert.equal(messages.at(-1).content, "last");
    // One more exchange would not have fitted.
    assert.ok(bytes(body) + 2 * bytes(JSON.stringify(long)) + 80 > MAX_BODY_BYTES);
  }
});

test("a prompt that is too long by itself is said not to fit", () => {
  const longest = "a".repeat(MAX_BODY_BYTES - bytes('{"messages":[{"role":"user","content":""}]}'));
  assert.equal(requestOf(conversation([longest])).fits, true);
  assert.equal(requestOf(conversation([`${longest}a`])).fits, false);
});

test("half a surrogate pair is replaced before it is sent", () => {
  const { messages } = requestOf(conversation(["one\ud83c", "\udf0aein"], ["two"]));
  assert.deepEqual(contents(messages), ["one\ufffd", "\ufffdein", "two"]);
});

test("what was saved is loaded again", () => {
  const made = conversation(["one", "ein", { id: "7", deltas: 3 }], ["two", "zwei"]);
  made.save();
  const loaded = new Conversation();
  loaded.load();
  assert.deepEqual(loaded.exchanges, made.exchanges);
  made.forget();
  loaded.load();
  assert.deepEqual(loaded.exchanges, []);
});

test("the newest exchanges are saved, up to two million characters", () => {
  const made = conversation(...Array.from({ length: 5 }, (_, index) => [`${index}`, "a".repeat(600_000)]));
  made.save();
  const loaded = new Conversation();
  loaded.load();
  assert.deepEqual(loaded.exchanges.map(({ prompt }) => prompt), ["2", "3", "4"]);
});

test("the newest exchange is saved however long it is", () => {
  const made = conversation(["old"], ["new", "a".repeat(2_500_000)]);
  made.save();
  const loaded = new Conversation();
  loaded.load();
  assert.deepEqual(loaded.exchanges.map(({ prompt }) => prompt), ["new"]);
});

test("what was saved and is no conversation is ignored", () => {
  for (const [saved, prompts] of [
    ["{", []],
    ["7", []],
    ["null", []],
    ['[null, {"prompt": "one", "text": ""}]', []],
    ['[{"prompt": 1, "text": ""}, {"prompt": "one"}, {"prompt": "two", "text": ""}]', ["two"]],
  ]) {
    new Conversation().save();
    const [name] = sessionStorage.items.keys();
    sessionStorage.setItem(name, saved);
    const loaded = new Conversation();
    loaded.load();
    assert.deepEqual(loaded.exchanges.map(({ prompt }) => prompt), prompts, saved);
  }
});

test("a conversation that storage has no room for is forgotten and not left outdated", () => {
  globalThis.sessionStorage = new Storage(100);
  const made = conversation(["one"]);
  made.save();
  assert.equal(sessionStorage.items.size, 1);
  made.exchanges[0].text = "a".repeat(100);
  made.save();
  assert.equal(sessionStorage.items.size, 0);
});

test("without storage nothing fails", () => {
  delete globalThis.sessionStorage;
  const made = conversation(["one", "ein"]);
  made.save();
  made.forget();
  made.load();
  assert.deepEqual(made.exchanges, []);
});

test("blank is what the server takes for blank", () => {
  // The white space of Unicode, as Rust's `char::is_whitespace` has it.
  for (const blank of ["", " \t\r\n\v\f", "\u0085", "\u00a0", "\u1680\u2003\u2028\u2029\u202f\u205f\u3000"]) {
    assert.ok(isBlank(blank), JSON.stringify(blank));
  }
  for (const word of ["a", " .", "\u200b"]) assert.ok(!isBlank(word), JSON.stringify(word));
});
