/** The languages of the page: each says everything. What shape a sentence has is checked by the types. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { load } from "./modules.mjs";

const en = (await load("words/en.js")).default;
const de = (await load("words/de.js")).default;

/** All sentences by their paths; functions are called with their own parameters' names. */
function sentences(value, path = "") {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, value(...Array(value.length).fill("‹value›"))]];
  return Object.entries(value).flatMap(([key, inner]) => sentences(inner, path ? `${path}.${key}` : key));
}

test("each language says everything, and passes on every value", () => {
  const english = new Map(sentences(en));
  const german = new Map(sentences(de));
  assert.deepEqual([...german.keys()], [...english.keys()]);
  for (const [path, said] of german) {
    assert.notEqual(said.trim(), "", path);
    const values = (text) => text.split("‹value›").length;
    assert.equal(values(said), values(english.get(path)), path);
  }
});

test("the button says Submit in every language", () => {
  assert.deepEqual([en.submit, de.submit], ["Submit", "Submit"]);
});

test("every element that names its words finds them, and the file shows the English ones", async () => {
  const html = await readFile(new URL("../../static/index.html", import.meta.url), "utf8");
  const named = [...html.matchAll(/data-words(?:-\w+)?="([^"]+)"/g)].map(([, path]) => path);
  assert.ok(named.length > 20);
  const english = new Map(sentences(en));
  for (const path of named) assert.ok(english.has(path), path);
  for (const [, path, shown] of html.matchAll(/ data-words="([^"]+)">([^<]*)</g)) assert.equal(shown, english.get(path), path);
});

test("every code that the server documents has a sentence", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const listed = /`code` is one of\s+([^.]+)\./.exec(readme)[1];
  const codes = [...listed.matchAll(/`(\w+)`/g)].map(([, code]) => code);
  assert.ok(codes.length > 15);
  for (const code of codes) {
    // These have an outcome of their own.
    if (["prompt_filtered", "reply_filtered"].includes(code)) continue;
    assert.ok(en.failures[code], code);
  }
});

test("every notice that the server documents has a sentence", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const row = readme.split("\n").find((line) => line.startsWith("| `notice` |"));
  const codes = [...row.split("|").at(-2).matchAll(/`(\w+)`/g)].map(([, code]) => code);
  assert.ok(codes.length > 2);
  for (const code of codes) assert.ok(en.notices[code], code);
});
