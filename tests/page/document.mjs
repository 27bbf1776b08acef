/**
 * A document without a browser: the few parts of the DOM that the renderer of Markdown uses. It counts each
 * change, so that a test can show that something is not touched.
 */

/** How many changes there were. */
export const changes = { count: 0 };

class FakeNode {
  static TEXT_NODE = 3;
  parentNode = null;
  previousSibling = null;
  nextSibling = null;

  remove() {
    const { parentNode: parent, previousSibling: previous, nextSibling: next } = this;
    if (!parent) return;
    changes.count += 1;
    if (previous) previous.nextSibling = next;
    else parent.firstChild = next;
    if (next) next.previousSibling = previous;
    else parent.lastChild = previous;
    this.parentNode = this.previousSibling = this.nextSibling = null;
  }

  replaceWith(node) {
    const { parentNode: parent, nextSibling: next } = this;
    this.remove();
    parent.insert(node, next);
  }
}

class FakeText extends FakeNode {
  get length() {
    return this.data.length;
  }

  nodeType = FakeNode.TEXT_NODE;

  constructor(data) {
    super();
    this.data = data;
  }

  appendData(data) {
    changes.count += 1;
    this.data += data;
  }

  replaceData(from, length, data) {
    changes.count += 1;
    this.data = this.data.slice(0, from) + data + this.data.slice(from + length);
  }
}

class FakeElement extends FakeNode {
  nodeType = 1;
  firstChild = null;
  lastChild = null;
  attributes = new Map();
  dataset = {};
  classList = { add: (name) => this.setAttribute("class", name) };

  constructor(localName) {
    super();
    this.localName = localName;
  }

  get childNodes() {
    const nodes = [];
    for (let node = this.firstChild; node; node = node.nextSibling) nodes.push(node);
    return nodes;
  }

  get children() {
    return this.childNodes.filter((node) => node instanceof FakeElement);
  }

  get tagName() {
    return this.localName.toUpperCase();
  }

  get textContent() {
    return this.childNodes.map((node) => node.data ?? node.textContent).join("");
  }

  set textContent(text) {
    this.replaceChildren(new FakeText(text));
  }

  append(...nodes) {
    for (const node of nodes) this.insert(typeof node === "string" ? new FakeText(node) : node, null);
  }

  replaceChildren(...nodes) {
    for (const child of this.childNodes) child.remove();
    this.append(...nodes);
  }

  /** Puts a node before another one of this element, or at the end. */
  insert(node, next) {
    node.remove();
    changes.count += 1;
    const previous = next ? next.previousSibling : this.lastChild;
    Object.assign(node, { parentNode: this, previousSibling: previous, nextSibling: next });
    if (previous) previous.nextSibling = node;
    else this.firstChild = node;
    if (next) next.previousSibling = node;
    else this.lastChild = node;
  }

  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  setAttribute(name, value) {
    changes.count += 1;
    this.attributes.set(name, String(value));
  }

  removeAttribute(name) {
    changes.count += 1;
    this.attributes.delete(name);
  }

  addEventListener() {}
}

for (const [property, attribute] of Object.entries({ className: "class", dir: "dir", type: "type", tabIndex: "tabindex", checked: "checked", disabled: "disabled" })) {
  Object.defineProperty(FakeElement.prototype, property, {
    get() {
      return this.getAttribute(attribute) ?? "";
    },
    set(value) {
      if (value === false) this.removeAttribute(attribute);
      else this.setAttribute(attribute, value === true ? "" : value);
    },
  });
}

/** Puts the document in its place. */
export function installDocument() {
  Object.assign(globalThis, { Element: FakeElement, Text: FakeText });
  globalThis.document = {
    createElement: (name) => new FakeElement(name),
    createTextNode: (data) => new FakeText(data),
  };
}

/** Every node of a tree as text, one a line; two text nodes side by side differ from one. */
export function treeOf(node, indent = "") {
  if (node.nodeType === FakeNode.TEXT_NODE) return `${indent}${JSON.stringify(node.data)}\n`;
  const attributes = [...node.attributes].sort().map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${indent}<${node.localName}${attributes.join("")}>\n${node.childNodes.map((child) => treeOf(child, `${indent} `)).join("")}`;
}
