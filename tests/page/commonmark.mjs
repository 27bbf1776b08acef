/**
 * The examples of CommonMark's specification, as the page renders them.
 *
 * What differs on purpose is mapped: HTML stays text, so examples with HTML are left out; every line break is
 * kept; an image is a link. The definition of a link is for the text after it, so those that fail are tried
 * again with definitions first. What else differs is counted.
 */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

import { installDocument } from "./document.mjs";
import { load } from "./modules.mjs";
import { generator } from "./random.mjs";

// `test.sh` installs them.
const require = createRequire(new URL("../../target/page-tools/", import.meta.url));
const examples = require("commonmark-spec").tests.map(({ markdown, html, ...rest }) => ({
  markdown: markdown.replaceAll("→", "\t"),
  html: html.replaceAll("→", "\t"),
  ...rest,
}));
const { HtmlRenderer, Parser } = require("commonmark");

installDocument();
const { createRenderer } = await load("markdown.js");

/** How many examples have no HTML, and how many of them are rendered as specified. Raise it, never lower it. */
const WITHOUT_HTML = 580;
const AS_SPECIFIED = 573;
/** How many random texts are compared with the reference implementation. */
const TEXTS = 20_000;

test("CommonMark's examples are rendered as specified", () => {
  const chosen = examples.filter(({ markdown }) => !hasHtml(markdown));
  const differing = chosen.filter(
    ({ markdown, html }) => ![markdown, definitionsFirst(markdown)].some((text) => rendered(text) === expected(html)),
  );
  if (process.env.SHOW_DIFFERENCES) {
    for (const { number, section, markdown, html } of differing) {
      console.log(`--- ${number} ${section}\n${markdown}\nspecified ${expected(html)}\nrendered  ${rendered(markdown)}`);
    }
  }
  assert.equal(chosen.length, WITHOUT_HTML);
  assert.equal(chosen.length - differing.length, AS_SPECIFIED, `not as specified: ${differing.map(({ number }) => number)}`);
});

test("random texts are rendered as by the reference implementation", () => {
  const pick = generator(Number(process.env.MARKDOWN_SEED ?? 1));
  const parts = ["a", "b c", " ", "  ", "    ", "\n", "\n\n", "\n- ", "\n1. ", "\n> ", "\n  ", "\n    ", "# ", "---", "===", "```", "\n~~~"].concat(
    ["*", "**", "_", "__", "`", "``", "[a](/b)", "[", "]", "(", ")", "![", "\\", "\\*", "&amp;", ".", "é", "2) ", "- ", "+ ", "\t"],
  );
  const differing = [];
  for (let number = 0; number < TEXTS; number += 1) {
    const markdown = Array.from({ length: 1 + pick(14) }, () => parts[pick(parts.length)]).join("");
    // Escaped brackets may be math.
    if (/\\[([]/.test(markdown)) continue;
    const html = new HtmlRenderer().render(new Parser().parse(markdown));
    if (rendered(markdown) !== expected(html)) differing.push([markdown, expected(html), rendered(markdown)]);
  }
  const shortest = differing.sort(([one], [other]) => one.length - other.length)[0];
  assert.deepEqual(shortest, undefined, `${differing.length} differ`);
});

/** Puts the definitions of links at the start. */
function definitionsFirst(markdown) {
  const [start, ...definitions] = markdown.split(/^(?=\[[^\]\n]+\]: )/m);
  return definitions.length === 0 || start === "" ? markdown : `${definitions.join("")}\n${start}`;
}

function hasHtml(markdown) {
  const walker = new Parser().parse(markdown).walker();
  for (let event; (event = walker.next()); ) if (event.node.type.startsWith("html_")) return true;
  return false;
}

function rendered(markdown) {
  const root = document.createElement("div");
  const renderer = createRenderer(root, { hrefOf: (destination) => destination });
  renderer.push(markdown);
  renderer.end();
  return serialized(root.childNodes.map(ours));
}

/** A node of the page in the form that is compared. */
function ours(node) {
  if (node.nodeType === 3) return node.data;
  const children = node.childNodes.map(ours);
  const name = node.localName;
  const classes = node.getAttribute("class") ?? "";
  if (classes === "code") {
    const [, pre] = node.childNodes;
    const [code] = pre.childNodes;
    const language = code.dataset.language;
    return { name: "pre", children: [{ name: "code", language, children: code.childNodes.map(ours) }] };
  }
  if (classes.startsWith("level-")) return { name: `h${classes.slice(-1)}`, children };
  if (classes === "math") return textOf(children);
  if (name === "a") {
    const words = classes === "image" ? [textOf(children)] : children;
    return { name, href: address(node.getAttribute("href")), title: node.getAttribute("title") ?? undefined, children: words };
  }
  if (name === "li" && node.parentNode.getAttribute("class") !== "loose") {
    return { name, children: children.flatMap((child) => (child.name === "p" ? child.children : [child])) };
  }
  return { name, start: node.getAttribute("start") ?? undefined, children };
}

const BLOCKS = ["blockquote", "ul", "ol", "p", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "hr"];

/** The HTML of an example in the form that is compared. */
function expected(html) {
  const root = { name: "root", children: [] };
  const path = [root];
  for (const [whole, close, name, attributes] of html.matchAll(/<(\/?)([a-z0-9]+)((?: [a-z]+="[^"]*")*) ?\/?>|[^<]+/g)) {
    const parent = path.at(-1);
    if (!name) parent.children.push(unescaped(whole));
    else if (close) path.pop();
    else {
      const given = Object.fromEntries([...attributes.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, key, value]) => [key, unescaped(value)]));
      const element = { name, children: [] };
      if (name === "a") Object.assign(element, { href: address(given.href), title: given.title });
      if (name === "img") {
        const words = given.alt.replaceAll("\n", "");
        const isInLink = path.some((outer) => outer.name === "a");
        if (isInLink) parent.children.push(words);
        else parent.children.push({ name: "a", href: address(given.src), title: given.title, children: [words] });
        continue;
      }
      if (name === "code" && given.class) element.language = given.class.replace("language-", "");
      if (name === "ol") element.start = given.start;
      parent.children.push(element);
      if (!["br", "hr"].includes(name)) path.push(element);
    }
  }
  const cleaned = (element) => {
    const { name, children } = element;
    if (name === "pre") return element;
    const kept = children.flatMap((child, at) => {
      if (typeof child !== "string") return [cleaned(child)];
      if (["root", "blockquote", "ul", "ol"].includes(name)) return [];
      let text = child;
      const isBlock = (sibling) => sibling === undefined || BLOCKS.includes(sibling.name);
      if (children[at - 1]?.name === "br") text = text.replace(/^\n/, "");
      if (name === "li" && isBlock(children[at - 1])) text = text.replace(/^\n/, "");
      if (name === "li" && isBlock(children[at + 1])) text = text.replace(/\n$/, "");
      // White space at the end of a line is not seen.
      const shown = text.replace(children[at + 1]?.name === "br" ? /[ \t]+(?=\n|$)/g : /[ \t]+(?=\n)/g, "");
      return shown.split("\n").flatMap((line, index) => (index > 0 ? [{ name: "br", children: [] }, line] : [line]));
    });
    return { ...element, children: kept };
  };
  return serialized(cleaned(root).children);
}

/** Destinations are compared by what they mean, not by what is percent-encoded. */
function address(text) {
  try {
    return decodeURI(text);
  } catch {
    return text;
  }
}

const textOf = (nodes) => nodes.map((node) => (typeof node === "string" ? node : textOf(node.children))).join("");

const unescaped = (text) =>
  text.replace(/&(amp|lt|gt|quot);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"' })[name]);

function serialized(nodes) {
  const merged = [];
  for (const node of nodes) {
    if (node === "") continue;
    if (typeof node === "string" && typeof merged.at(-1) === "string") merged[merged.length - 1] += node;
    else merged.push(node);
  }
  return merged
    .map((node) => {
      if (typeof node === "string") return JSON.stringify(node);
      const { name, children, ...attributes } = node;
      return `<${name}${JSON.stringify(attributes)}${serialized(children)}>`;
    })
    .join("");
}
