/** What a screen reader hears of a reply. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { installDocument } from "./document.mjs";
import { load } from "./modules.mjs";

installDocument();
const { spokenText } = await load("announcer.js");
const { words } = await load("words.js");

test("a reply is spoken as it is rendered, without marks, and each block ends as a sentence does", () => {
  const text =
    "# River\n\n- one **bold** word\n  - a [link](https://e.example/a_b)\n- [x] done\n\n1. `code` and *em*!\n\n```rust\nlet my_file_name = 2 * 3;\n```\n" +
    "> quoted:\n\n| a | b |\n|---|---|\n| 1 | **2** |\n\n---\n\nIrie the sea,\nfree as can be.";
  assert.equal(
    spokenText(text),
    "River. one bold word. a link. done. code and em! Code: rust. quoted: a, b. 1, 2. Irie the sea,\nfree as can be.",
  );
});

test("of a long reply whole sentences are spoken", () => {
  const said = spokenText("Irie is the **sea**. ".repeat(1_000));
  assert.ok(said.length < 700);
  assert.ok(said.endsWith(`Irie is the sea. ${words.announce.rest}`), said);
  assert.equal(spokenText("short"), "short.");
});

test("of a very long sentence whole words are spoken", () => {
  const said = spokenText("word ".repeat(1_000));
  assert.ok(said.length < 700);
  assert.ok(said.endsWith(`word … ${words.announce.rest}`), said);
});
