/** The files of the page: what it loads, and how they depend on each other. */

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";

const folder = new URL("../../static/", import.meta.url);
const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js"));
const texts = new Map(await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, folder), "utf8")])));
const html = await readFile(new URL("index.html", folder), "utf8");

/** The files that a file imports. Types are no imports. */
function importsOf(name) {
  const imports = [...texts.get(name).matchAll(/^(?:import|export) .*?"(\.[^"]+)";$/gms)].map(([, path]) => path);
  return imports.map((path) => new URL(path, new URL(name, folder)).href.slice(folder.href.length));
}

test("each module is preloaded, so that none waits for the one that imports it", () => {
  const preloaded = [...html.matchAll(/rel="modulepreload" href="([^"]+)"/g)].map(([, name]) => name);
  const needed = new Set();
  const add = (name) => {
    for (const other of importsOf(name)) {
      if (needed.has(other)) continue;
      needed.add(other);
      add(other);
    }
  };
  add("app.js");
  assert.deepEqual(preloaded.toSorted(), [...needed].toSorted());
});

test("each file is used", () => {
  const used = new Set(names.flatMap(importsOf));
  for (const name of names) {
    const types = [...texts.values()].some((text) => text.includes(`import("./${name}")`));
    assert.ok(used.has(name) || types || html.includes(`src="${name}"`), name);
  }
});

test("no two modules import each other, directly or in a loop", () => {
  const visit = (name, path) => {
    assert.ok(!path.includes(name), [...path, name].join(" → "));
    for (const other of importsOf(name)) visit(other, [...path, name]);
  };
  visit("app.js", []);
});

test("each module says what it is, and is short; the wiring is shorter", () => {
  for (const [name, text] of texts) {
    assert.match(text, /^\/\*/, name);
    const lines = text.split("\n").length - 1;
    assert.ok(lines <= 300, `${name} has ${lines} lines`);
  }
  assert.ok(texts.get("app.js").split("\n").length <= 120);
});

test("no module turns text into markup or code", () => {
  for (const [name, text] of texts) {
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|setHTML/, name);
  }
});
