/** Shows text as it is, with the interface of the Markdown renderer. */

/**
 * @typedef {object} Renderer
 * @property {(text: string) => void} push Adds text.
 * @property {(text: string) => void} replace Replaces all text.
 * @property {() => void} end No more text comes.
 */

/**
 * @param {Element} container
 * @returns {Renderer}
 */
export function createRenderer(container) {
  // All text is in one node, so appending costs the same however long it is.
  const node = document.createTextNode("");
  container.replaceChildren(node);
  return {
    push: (text) => node.appendData(text),
    replace: (text) => {
      node.data = text;
    },
    end: () => {},
  };
}
