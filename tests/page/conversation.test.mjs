/** The conversation: its versions, and what of it is sent. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { CONTINUE_PROMPT, Conversation, MAX_BODY_BYTES, isBlank } = await load("conversation.js");

/** A conversation with these exchanges; the last one is the new prompt. */
function conversation(...exchanges) {
  const made = new Conversation();
  for (const [prompt, text = "", more] of exchanges) {
    Object.assign(made.add(prompt, made.path().at(-1)?.key ?? null), { text, ...more });
  }
  return made;
}

function requestOf(made) {
  const { body, ...rest } = made.request(made.path().at(-1));
  return { messages: JSON.parse(body).messages, body, ...rest };
}

const prompts = (made) => made.path().map(({ prompt }) => prompt);
const contents = (messages) => messages.map(({ content }) => content);
const bytes = (text) => new TextEncoder().encode(text).length;

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
  const longest = "a".repeat(MAX_BODY_BYTES - bytes('{"messages":[{"role":"user","content":""}],"idle_reader_seconds":600}'));
  assert.equal(requestOf(conversation([longest])).fits, true);
  assert.equal(requestOf(conversation([`${longest}a`])).fits, false);
});

test("half a surrogate pair is replaced before it is sent", () => {
  const { messages } = requestOf(conversation(["one\ud83c", "\udf0aein"], ["two"]));
  assert.deepEqual(contents(messages), ["one\ufffd", "\ufffdein", "two"]);
});

test("a reply that continues another is asked for with what there was and a request to go on", () => {
  const made = conversation(["one", "ein"], ["two", "zwei "]);
  const [, cut] = made.path();
  const longer = made.add(cut.prompt, cut.parent, cut.before + cut.text);
  made.replace(cut, longer);
  assert.deepEqual(made.path().map(({ before, text }) => before + text), ["ein", "zwei "]);
  const { messages } = requestOf(made);
  assert.deepEqual(contents(messages), ["one", "ein", "two", "zwei ", CONTINUE_PROMPT]);
  longer.text = "drei";
  made.add("three", longer.key);
  assert.deepEqual(contents(requestOf(made).messages), ["one", "ein", "two", "zwei drei", "three"]);
});

test("a version takes the place of another, which stays available with what follows it", () => {
  const made = conversation(["one", "ein"], ["two", "zwei"]);
  const [first] = made.path();
  const other = made.add("uno", null);
  assert.deepEqual(prompts(made), ["uno"]);
  assert.deepEqual(made.versions(other), [first, other]);
  made.choose(first);
  assert.deepEqual(prompts(made), ["one", "two"]);
  made.choose(other);
  made.remove(other);
  assert.deepEqual(prompts(made), ["one", "two"]);
});

test("a conversation is named by its first prompt", () => {
  const made = conversation([` ${"a".repeat(200)}`], ["two"]);
  assert.equal(made.meta.first, "a".repeat(80));
});

test("what another tab has saved is taken over, except for the replies that this tab follows", () => {
  const made = conversation(["one", "ein"], ["two", "zw"]);
  const [first, second] = made.path();
  const elsewhere = new Conversation(structuredClone(made.meta), structuredClone(made.exchanges));
  elsewhere.exchanges[0].text = "eins";
  elsewhere.exchanges[1].text = "old";
  elsewhere.add("three", second.key);
  made.merge(elsewhere, (key) => key === second.key);
  assert.deepEqual(prompts(made), ["one", "two", "three"]);
  assert.deepEqual([first.text, second.text], ["eins", "zw"]);
  assert.equal(made.path()[0], first, "the same object");

  // What the other tab has removed goes, except for what runs here.
  const emptied = new Conversation(structuredClone(made.meta), []);
  made.merge(emptied, (key) => key === first.key);
  assert.deepEqual(made.exchanges, [first]);
});

test("a damaged tree ends and does not loop", () => {
  const made = conversation(["one"], ["two"]);
  const [first, second] = made.path();
  first.parent = second.key;
  assert.deepEqual(made.path(), []);
  assert.ok(made.request(second).fits);
});

test("blank is what the server takes for blank", () => {
  // The white space of Unicode, as Rust's `char::is_whitespace` has it.
  for (const blank of ["", " \t\r\n\v\f", "\u0085", "\u00a0", "\u1680\u2003\u2028\u2029\u202f\u205f\u3000"]) {
    assert.ok(isBlank(blank), JSON.stringify(blank));
  }
  for (const word of ["a", " .", "\u200b"]) assert.ok(!isBlank(word), JSON.stringify(word));
});
