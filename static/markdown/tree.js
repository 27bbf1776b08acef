/** The flat items of a parsed text → the tree of what stands in it. */

/** The most elements in one another. Without it, a reply of marks alone would overflow the stack. */
const DEPTH_LIMIT = 16;

/**
 * @typedef {string | {tag: "br"} | {tag: "code"|"math", text: string} | Element} Node
 * @typedef {{tag: "em"|"strong"|"del"|"a", children: Node[], destination?: string|null, title?: string,
 *   isImage?: boolean}} Element
 *
 * @typedef {string|Leaf|import("./emphasis.js").Run|Opening|{ends: "a"}} Item What opens, closes, or is a node.
 * @typedef {{tag: "br"} | {tag: "code"|"math", text: string}} Leaf
 * @typedef {{words: string, isImage: boolean, link?: {destination: string|null, title: string}}} Opening
 */

/**
 * Builds the tree.
 *
 * @param {Item[]} items
 * @returns {Node[]}
 */
export function treeOf(items) {
  /** @type {{tag: string, children: Node[]}[]} */
  const path = [{ tag: "", children: [] }];
  const [root] = path;
  const add = (/** @type {Node} */ node) => {
    const { children } = path[path.length - 1];
    const last = children.at(-1);
    if (node === "") return;
    if (typeof node === "string" && typeof last === "string") children[children.length - 1] = last + node;
    else children.push(node);
  };
  const open = (/** @type {Element["tag"]} */ tag, more = {}) => {
    const isTooDeep = path.length > DEPTH_LIMIT;
    // A link in a link, such as a picture in it, is only its words.
    const isInLink = tag === "a" && path.some((element) => element.tag === "a");
    const parent = path[path.length - 1];
    /** @type {Element} */
    const element = { tag, ...more, children: [] };
    if (isTooDeep || isInLink) element.children = parent.children;
    else parent.children.push(element);
    path.push(element);
  };
  for (const item of items) {
    if (typeof item === "string" || "tag" in item) add(item);
    else if ("ends" in item) path.pop();
    else if ("words" in item) {
      if (item.link) open("a", { ...item.link, isImage: item.isImage });
      else add(item.words);
    } else {
      for (const _ of item.closed) path.pop();
      add(item.text.repeat(item.left));
      for (const tag of item.opened.reverse()) open(tag);
    }
  }
  return root.children;
}
