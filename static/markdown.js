/**
 * Markdown that is shown while it is written.
 *
 * Text comes in pieces; what it means is shown at once. The document is the same however the text was cut.
 * Nothing here knows where the text comes from, and nothing below knows that it comes in pieces.
 *
 * text → `markdown/blocks.js` (lines → blocks) → `prose.js` (what grows) → `inline.js` (words) → `patch.js`
 * (the document).
 */

import { Blocks, isUndecided } from "./markdown/blocks.js";
import { Definitions, safeHref } from "./markdown/links.js";

/**
 * Shows a text inside an element.
 *
 * @param {Element} container
 * @param {object} [options]
 * @param {(destination: string) => string|null} [options.hrefOf] The URL that a link opens; `null` for none.
 * @returns {{push(text: string): void, replace(text: string): void, end(): void}} `push` adds text, `replace`
 *   shows another one in its place, and `end` tells that no more comes.
 */
export function createRenderer(container, { hrefOf = safeHref } = {}) {
  let blocks;
  /** The beginning of a line, while its kind is not decided. */
  let start;
  let isInLine;
  let endsWithReturn;

  function clear() {
    container.replaceChildren();
    blocks = new Blocks(container, { definitions: new Definitions(), hrefOf });
    start = "";
    isInLine = false;
    endsWithReturn = false;
  }

  function push(text) {
    const isSecondHalf = endsWithReturn && text.startsWith("\n");
    endsWithReturn = text === "" ? endsWithReturn : text.endsWith("\r");
    const lines = text.slice(isSecondHalf ? 1 : 0).replace(/\0/g, "\ufffd").split(/\r\n|\r|\n/);
    const last = lines.pop();
    for (const line of lines) {
      add(line);
      endLine();
    }
    add(last);
    if (!isInLine && start !== "" && !isUndecided(start)) startLine();
    blocks.show();
  }

  function add(text) {
    if (isInLine) blocks.add(text);
    else start += text;
  }

  function startLine() {
    blocks.startLine(start);
    start = "";
    isInLine = true;
  }

  function endLine() {
    if (!isInLine) startLine();
    blocks.endLine();
    isInLine = false;
  }

  function end() {
    if (isInLine || start !== "") endLine();
    blocks.seal();
  }

  clear();
  return {
    push,
    replace(text) {
      clear();
      push(text);
    },
    end,
  };
}
