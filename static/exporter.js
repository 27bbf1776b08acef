/** Writes a conversation into a file, as Markdown or JSON. */

import { words } from "./words.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */

/**
 * Lets the browser download the shown branch, or as JSON all versions.
 *
 * @param {"md"|"json"} kind
 * @param {Conversation} conversation
 * @param {string} title
 */
export function exportAs(kind, conversation, title) {
  const text = kind === "md" ? markdownOf(conversation, title) : jsonOf(conversation, title);
  const type = kind === "md" ? "text/markdown" : "application/json";
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${fileName(title)}.${kind}`;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * @param {Conversation} conversation
 * @param {string} title
 */
export function markdownOf(conversation, title) {
  const parts = conversation.path().map(({ prompt, before, text }) => {
    const quoted = prompt.split("\n").map((line) => `> ${line}`.trimEnd()).join("\n");
    return `**${words.you}:**\n\n${quoted}\n\n**${words.brand}:**\n\n${before}${text}`;
  });
  return `# ${title.replaceAll("\n", " ")}\n\n${parts.join("\n\n---\n\n")}\n`;
}

/**
 * @param {Conversation} conversation
 * @param {string} title
 */
export function jsonOf({ meta, exchanges }, title) {
  const told = exchanges.map(({ key, parent, created, prompt, before, text, end }) => ({
    key,
    parent,
    created: new Date(created).toISOString(),
    prompt,
    reply: before + text,
    status: end?.status ?? "running",
    finish_reason: end?.finish_reason ?? null,
    model: end?.model ?? null,
    chosen: meta.chosen[parent ?? ""] === key,
  }));
  return JSON.stringify({ version: 1, title, created: new Date(meta.created).toISOString(), exchanges: told }, null, 2);
}

/** @param {string} title */
function fileName(title) {
  const plain = title.normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  return plain.slice(0, 60) || "conversation";
}
