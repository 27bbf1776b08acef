/** What a screen reader hears of a reply. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { spokenText } = await load("announcer.js");
const { words } = await load("words.js");

test("Markdown's marks are not spoken, and words with underscores are left whole", () => {
  const text = "# River\n\n- one **bold** word\n- a [link](https://e.example/a_b)\n\n1. `code` and *em*\n\n```rust\nlet my_file_name = 2 * 3;\n```\n> quoted";
  assert.equal(
    spokenText(text),
    "River\n\none bold word\na link\n\ncode and em\n\nlet my_file_name = 2 * 3;\nquoted",
  );
});

test("of a long reply the beginning is spoken, cut between words", () => {
  const spoken = spokenText("word ".repeat(1_000));
  assert.ok(spoken.length < 700);
  assert.ok(spoken.endsWith(`word … ${words.announce.rest}`));
  assert.equal(spokenText("short"), "short");
});
