/** Markdown that is shown while it is written: what it means, that no cut matters, and what it costs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { changes, installDocument, treeOf } from "./document.mjs";
import { HOSTILE, LINKS, PARTS } from "./markdown-samples.mjs";
import { load } from "./modules.mjs";
import { generator } from "./random.mjs";

installDocument();
const { createRenderer } = await load("markdown.js");

/** How many random texts are cut at random places. */
const TEXTS = 3_000;
/** No element but these is ever made. */
const ELEMENTS = "a blockquote br button code del div em h3 h4 h5 h6 hr input li ol p pre span strong table tbody td th thead tr ul".split(" ");

function start() {
  const root = document.createElement("div");
  return { root, renderer: createRenderer(root) };
}

function rendered(...pieces) {
  const { root, renderer } = start();
  for (const piece of pieces) renderer.push(piece);
  renderer.end();
  return root;
}

/** The document as short HTML, without what is the same for every element of its kind. */
function htmlOf(node) {
  if (node.nodeType === 3) return node.data.replaceAll("\n", "⏎");
  const kept = ["href", "title", "class", "start", "checked"].filter((name) => node.getAttribute(name) !== null);
  const attributes = kept.map((name) => ` ${name}="${node.getAttribute(name)}"`).join("");
  const children = node.childNodes.map(htmlOf).join("");
  return node.parentNode ? `<${node.localName}${attributes}>${children}</${node.localName}>` : children;
}

function* elementsOf(node) {
  for (const child of node.childNodes ?? []) {
    if (child.nodeType !== 3) yield child;
    yield* elementsOf(child);
  }
}

const code = (language, text) =>
  `<div class="code"><div class="code-head"><span>${language}</span><button class="copy">Copy</button></div>` +
  `<pre><code>${text}</code></pre></div>`;

test("each construct is rendered", () => {
  for (const [markdown, html] of [
    ["# One\n## Two ##\nThree\n---", '<h3 class="level-1">One</h3><h4 class="level-2">Two</h4><h4 class="level-2">Three</h4>'],
    ["*a* **b** ***c*** ~~d~~ `e*`", "<p><em>a</em> <strong>b</strong> <em><strong>c</strong></em> <del>d</del> <code>e*</code></p>"],
    ["my_file_name.txt and 5 * 3 * 2", "<p>my_file_name.txt and 5 * 3 * 2</p>"],
    ["- a\n  - b\n\n    c\n- d", '<ul><li><p>a</p><ul class="loose"><li><p>b</p><p>c</p></li></ul></li><li><p>d</p></li></ul>'],
    ["3. a\n4. b", '<ol start="3"><li><p>a</p></li><li><p>b</p></li></ol>'],
    ["- [x] a\n- [ ] b\n- [y] c\n- [ ]", '<ul><li class="task"><p><input checked=""></input> a</p></li><li class="task"><p><input></input> b</p></li><li><p>[y] c</p></li><li><p>[ ]</p></li></ul>'],
    ["> a\n> > b\nc", "<blockquote><p>a</p><blockquote><p>b<br></br>c</p></blockquote></blockquote>"],
    ["a\n\n***\n\nb", "<p>a</p><hr></hr><p>b</p>"],
    ["```rust ignore\nfn a() {\n  *b*\n}\n```\nc", `${code("rust", "fn a() {⏎  *b*⏎}⏎")}<p>c</p>`],
    ["1. a\n   ```\n   b\n   ```\n2. c", `<ol><li><p>a</p>${code("", "b⏎")}</li><li><p>c</p></li></ol>`],
    ["    indented\n\n    code", code("", "indented⏎⏎code⏎")],
    ["Irie  \nthe sea\\\nis free\n", "<p>Irie<br></br>the sea<br></br>is free</p>"],
    ["a &amp; b &#233; &hellip; &unknown; \\*c\\*", "<p>a & b é … &unknown; *c*</p>"],
    [
      "Prices:\n| a | b |\n|:--|--:|\n| `x \\| y` | **2** | 3 |\n| z |\n\nend",
      '<p>Prices:</p><div class="table"><table><thead><tr><th class="align-start">a</th><th class="align-end">b</th></tr></thead>' +
        '<tbody><tr><td class="align-start"><code>x | y</code></td><td class="align-end"><strong>2</strong></td></tr>' +
        '<tr><td class="align-start">z</td></tr></tbody></table></div><p>end</p>',
    ],
    ["| no | table |\n| - |", "<p>| no | table |<br></br>| - |</p>"],
  ]) {
    assert.equal(htmlOf(rendered(markdown)), html, markdown);
  }
});

test("links lead to the web or to mail, and open a tab that knows nothing of the page", () => {
  for (const [markdown, html] of [
    ['[a](https://b.example/c "d")', '<p><a href="https://b.example/c" title="d">a</a></p>'],
    ["<https://b.example> <me@b.example>", '<p><a href="https://b.example">https://b.example</a> <a href="mailto:me@b.example">me@b.example</a></p>'],
    ["(see https://b.example/a_b_(c)).", '<p>(see <a href="https://b.example/a_b_(c)">https://b.example/a_b_(c)</a>).</p>'],
    ["**https://b.example**", '<p><strong><a href="https://b.example">https://b.example</a></strong></p>'],
    ["[https://b.example](https://c.example)", '<p><a href="https://c.example">https://b.example</a></p>'],
    ["[a]: https://b.example\n\n[a], [x][a]", '<p><a href="https://b.example">a</a>, <a href="https://b.example">x</a></p>'],
    ["![a cat](https://b.example/c.png)", '<p><a href="https://b.example/c.png" class="image">a cat</a></p>'],
    ["[![a cat](https://b.example/c.png)](https://d.example)", '<p><a href="https://d.example">a cat</a></p>'],
  ]) {
    const root = rendered(markdown);
    assert.equal(htmlOf(root), html, markdown);
    for (const link of elementsOf(root)) {
      if (link.localName !== "a") continue;
      assert.equal(link.getAttribute("rel"), "noopener noreferrer");
      assert.equal(link.getAttribute("target"), "_blank");
    }
  }
});

test("a definition that comes after its use is shown, so that its address is not lost", () => {
  assert.equal(htmlOf(rendered("see [a][1]\n\n[1]: https://b.example")), '<p>see [a][1]</p><p>[1]: <a href="https://b.example">https://b.example</a></p>');
});

test("math stays as it is written", () => {
  const math = (text) => `<span class="math">${text}</span>`;
  for (const [markdown, html] of [
    ["$a_1 * b_1$ and $c_1 * d_1$.", `<p>${math("$a_1 * b_1$")} and ${math("$c_1 * d_1$")}.</p>`],
    ["\\(x_1\\) and \\[y_1\\]", `<p>${math("\\(x_1\\)")} and ${math("\\[y_1\\]")}</p>`],
    ["$$\\sum_{i=1}^{n} i$$\n\n**after**", `<p>${math("$$\\sum_{i=1}^{n} i$$")}</p><p><strong>after</strong></p>`],
    ["$$\na\n+ b\n$$\nafter", `${code("math", "a⏎+ b⏎")}<p>after</p>`],
    ["\\[\nx\n\n**never closed**", `${code("math", "x⏎")}<p><strong>never closed</strong></p>`],
    ["It costs $5, or *only* $4 today.", "<p>It costs $5, or <em>only</em> $4 today.</p>"],
  ]) {
    assert.equal(htmlOf(rendered(markdown)), html, markdown);
  }
});

test("what is not closed yet is shown as if it were, without its marks", () => {
  for (const [start_, html] of [
    ["a **b", "<p>a <strong>b</strong></p>"],
    ["a **b*", "<p>a <strong>b</strong></p>"],
    ["a `b", "<p>a <code>b</code></p>"],
    ["a [b](https://c.exam", "<p>a <a>b</a></p>"],
    ["a **", "<p>a</p>"],
    ["a\n- ", "<p>a</p>"],
    ["a\n---", "<p>a</p>"],
    ["- [", "<ul><li></li></ul>"],
    ["a\n| b |", "<p>a</p>"],
    ["[1]: https://", ""],
    ["5*3", "<p>5*3</p>"],
  ]) {
    const { root, renderer } = start();
    renderer.push(start_);
    assert.equal(htmlOf(root), html, start_);
  }
});

test("a text means the same however it is cut, at its end and at each moment before", () => {
  const seed = Number(process.env.MARKDOWN_SEED ?? 1);
  const pick = generator(seed);
  for (let number = 0; number < TEXTS; number += 1) {
    const text = Array.from({ length: 1 + pick(40) }, () => PARTS[pick(PARTS.length)]).join("");
    const { root, renderer } = start();
    const about = `seed ${seed}: ${JSON.stringify(text)}`;
    for (let at = 0; at < text.length; ) {
      const next = at + 1 + pick(number % 3 === 0 ? 1 : 12);
      renderer.push(text.slice(at, next));
      at = next;
      if (pick(8) > 0) continue;
      const other = start();
      other.renderer.push(text.slice(0, at));
      assert.equal(treeOf(root), treeOf(other.root), `${about} up to ${at}`);
    }
    renderer.end();
    assert.equal(treeOf(root), treeOf(rendered(text)), about);
  }
});

test("a long text without an end of its marks means the same however it is cut", () => {
  for (const text of ["*", "**a", "[a", "`", "``a", "$a", "<a", "a_", "![", "~~a ", "\\(", "https://", "[a](", "- a *b ", "| a", "# a #"].map((part) => part.repeat(3_000 / part.length + 3_000))) {
    const pieces = text.match(/[^]{1,701}/g);
    assert.equal(treeOf(rendered(...pieces)), treeOf(rendered(text)), text.slice(0, 10));
  }
});

test("CRLF and CR end lines as LF does, also when a cut is between them", () => {
  const expected = treeOf(rendered("a\nb\n\n- c\n"));
  assert.equal(treeOf(rendered("a\r\nb\r\n\r\n- c\r\n")), expected);
  assert.equal(treeOf(rendered("a\r", "\nb\r", "", "\n\r", "\n- c\r")), expected);
});

test("a sealed block is never touched again", () => {
  const { root, renderer } = start();
  renderer.push("# a\n\nb *c*\n\n- d\n- e\n\n```\nf\n```\n\n");
  const before = root.childNodes.map((node) => [node, treeOf(node)]);
  const pieces = ["last ", "*words*\n", "> q\n\n", "[d]: https://x.example\n\n", "- d\n", "| a | b |\n|---|---|\n", "1 | 2\n"];
  for (const piece of pieces) renderer.push(piece);
  renderer.end();
  for (const [at, [node, tree]] of before.entries()) {
    assert.equal(root.childNodes[at], node);
    assert.equal(treeOf(node), tree);
  }
});

test("words that are added to a paragraph change its last text alone", () => {
  const { root, renderer } = start();
  renderer.push("one *two* three");
  const [paragraph] = root.childNodes;
  const nodes = paragraph.childNodes.slice();
  const before = changes.count;
  renderer.push(" four");
  assert.equal(changes.count - before, 1);
  assert.deepEqual(paragraph.childNodes, nodes);
  assert.equal(paragraph.textContent, "one two three four");
});

test("the cost of a piece does not grow with the text before it", () => {
  for (const [what, piece] of Object.entries({
    "a list": "- an item with **strong** words and `code`\n",
    "nested lists": "- a\n  - b\n    - c\n",
    paragraphs: "Some words with *emphasis* and a [link](https://a.example/b).\n\n",
    "a verse": "Irie the sea and the sky so free,\n",
    "one line": "words and words with *emphasis* and `code` and so on, ",
    quotes: "> a\n>\n> b\n",
    "a table": "| a | *b* | `c` |\n|---|---|---|\n",
    code: "    code\n\n    more\n",
    "unclosed marks": "a *b _c [d `e\n\n",
    definitions: "[a]: https://b.example\n",
  })) {
    const cost = (pieces) => {
      const { renderer } = start();
      const before = changes.count;
      for (let number = 0; number < pieces; number += 1) for (const part of piece.match(/[^]{1,9}/g)) renderer.push(part);
      return changes.count - before;
    };
    const [once, tenfold] = [cost(40), cost(400)];
    assert.ok(tenfold <= once * 11, `${what}: ${once} changes for 40 pieces, ${tenfold} for 400`);
  }
});

test("a reply of usual length needs few changes of the document", () => {
  const part = "## A heading\n\nSome *words* of **weight**, `code` and [links](https://a.example).\n\n- one\n- two\n  - three\n\n```rust\nfn main() {}\n```\n\n";
  const text = part.repeat(150).slice(0, 20_000);
  const { renderer } = start();
  const before = changes.count;
  for (const piece of text.match(/[^]{1,43}/g)) renderer.push(piece);
  renderer.end();
  const { renderer: whole } = start();
  const streamed = changes.count - before;
  const beforeWhole = changes.count;
  whole.push(text);
  whole.end();
  const atOnce = changes.count - beforeWhole;
  // More than at once: what a piece ends in may have to be shown otherwise.
  assert.ok(streamed < 2 * atOnce, `${streamed} changes in pieces, ${atOnce} at once`);
});

test("hostile text becomes words, links to the web, and known elements", () => {
  for (const text of HOSTILE) {
    const root = rendered(text);
    const length = Math.max(7, Math.ceil(text.length / 200));
    const pieces = Array.from({ length: Math.ceil(text.length / length) }, (_, at) => text.slice(at * length, (at + 1) * length));
    assert.equal(treeOf(rendered(...pieces)), treeOf(root), text.slice(0, 80));
    let depth = 0;
    for (const element of elementsOf(root)) {
      assert.ok(ELEMENTS.includes(element.localName), element.localName);
      for (const name of element.attributes.keys()) assert.doesNotMatch(name, /^(on|style|src|srcdoc|action|formaction)/);
      const href = element.getAttribute("href");
      if (href !== null) assert.match(href, /^(https?:\/\/|mailto:)/i);
      let outer = 0;
      for (let node = element; node !== root; node = node.parentNode) outer += 1;
      depth = Math.max(depth, outer);
    }
    assert.ok(depth <= 64, `${depth} elements in one another`);
  }
});

test("a link that is no address of the web or of mail has no destination", () => {
  for (const destination of LINKS) {
    for (const markdown of [`[a](${destination})`, `[a](<${destination}>)`, `![a](${destination})`, `<${destination}>`, `[a]: ${destination}\n\n[a]`]) {
      for (const element of elementsOf(rendered(markdown))) assert.equal(element.getAttribute("href"), null, markdown);
    }
  }
});

test("another text takes the place of the first", () => {
  const { root, renderer } = start();
  renderer.push("# a\n```\nb");
  renderer.replace("**c");
  assert.equal(htmlOf(root), "<p><strong>c</strong></p>");
  renderer.push("** d");
  renderer.end();
  assert.equal(treeOf(root), treeOf(rendered("**c** d")));
});
