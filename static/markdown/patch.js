/**
 * Makes the nodes of the document what the parsed text says, with the fewest changes.
 *
 * Elements are created and text is text: nothing that a model writes is ever parsed as HTML.
 */

/** @typedef {import("./tree.js").Node} Node */

/**
 * @typedef {object} Context What the blocks of one text share.
 * @property {import("./links.js").Definitions} definitions
 * @property {(destination: string) => string|null} hrefOf The URL that a link opens; `null` for none.
 */

/** The attributes that may change while a text grows. */
const ATTRIBUTES = ["href", "title", "rel", "target", "class"];

/**
 * Sets the children of an element.
 *
 * @param {Element} parent
 * @param {Node[]} nodes
 * @param {Context} context
 * @param {ChildNode|null} [last] The last child that stays as it is.
 * @param {number} [characters] How many of its characters stay, if it is text. The first of the nodes goes on in
 *   it if that is text too.
 */
export function patch(parent, nodes, context, last = null, characters = 0) {
  let rest = nodes;
  if (characters > 0) {
    const [first] = nodes;
    const words = typeof first === "string" ? first : null;
    setText(last, characters, words ?? "");
    if (words !== null) rest = nodes.slice(1);
  }
  let child = last ? last.nextSibling : parent.firstChild;
  for (const node of rest) {
    const next = child?.nextSibling ?? null;
    if (!child) parent.append(build(node, context));
    else if (nameOf(child) === tagOf(node)) update(child, node, context);
    else child.replaceWith(build(node, context));
    child = next;
  }
  while (child) {
    const next = child.nextSibling;
    child.remove();
    child = next;
  }
}

/**
 * The name of the element that a node becomes; text has none.
 *
 * @param {Node} node
 */
function tagOf(node) {
  if (typeof node === "string") return "";
  return node.tag === "math" ? "span" : node.tag;
}

/** @param {ChildNode} child */
const nameOf = (child) => (child instanceof Element ? child.localName : "");

/**
 * @param {Node} node
 * @param {Context} context
 */
function build(node, context) {
  if (typeof node === "string") return document.createTextNode(node);
  const element = document.createElement(tagOf(node));
  // Marks of another direction inside do not turn the text around.
  if (node.tag === "code" || node.tag === "math") element.dir = "ltr";
  update(element, node, context);
  return element;
}

/**
 * @param {ChildNode} child Of the same kind.
 * @param {Node} node
 * @param {Context} context
 */
function update(child, node, context) {
  if (typeof node === "string") return setText(child, 0, node);
  if (!(child instanceof Element)) return;
  const attributes = attributesOf(node, context);
  for (const name of ATTRIBUTES) {
    const value = attributes[name] ?? null;
    if (child.getAttribute(name) === value) continue;
    if (value === null) child.removeAttribute(name);
    else child.setAttribute(name, value);
  }
  if ("children" in node) patch(child, node.children, context);
  else if ("text" in node) patch(child, node.text === "" ? [] : [node.text], context);
}

/**
 * @param {Exclude<Node, string>} node
 * @param {Context} context
 * @returns {Record<string, string|null>}
 */
function attributesOf(node, { hrefOf }) {
  if (node.tag === "math") return { class: "math" };
  if (node.tag !== "a") return {};
  const href = typeof node.destination === "string" ? hrefOf(node.destination) : null;
  const common = { title: node.title || null, class: node.isImage ? "image" : null };
  // A new tab, so that a reply that is being written stays in sight.
  return href === null ? common : { ...common, href, rel: "noopener noreferrer", target: "_blank" };
}

/**
 * Sets the text after so many characters, and touches only what differs.
 *
 * @param {ChildNode|null} node
 * @param {number} kept
 * @param {string} words
 */
function setText(node, kept, words) {
  if (!(node instanceof Text)) return;
  const shown = node.data.slice(kept);
  if (shown === words) return;
  let same = 0;
  while (same < shown.length && shown[same] === words[same]) same += 1;
  if (same === shown.length) node.appendData(words.slice(same));
  else node.replaceData(kept + same, shown.length - same, words.slice(same));
}
