/** Compares the text of a reply with the length and the hash in its end. */

/** @typedef {"sha256"|"bytes"|"unchecked"|"mismatch"} Proof How the text was verified. */

/**
 * @param {string} text
 * @param {{bytes?: number, sha256?: string}} end
 * @returns {Promise<Proof>}
 */
export async function verify(text, end) {
  if (end.bytes === undefined) return "unchecked";
  const bytes = new TextEncoder().encode(text);
  if (bytes.length !== end.bytes) return "mismatch";
  // Only secure contexts, which include localhost, have `crypto.subtle`.
  if (!crypto.subtle || !end.sha256) return "bytes";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex === end.sha256 ? "sha256" : "mismatch";
}
