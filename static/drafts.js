/** What the reader was typing and looking at, per conversation: it survives a reload of this tab. */

const STORAGE_NAME = "rasta-stream.tab";
/** Enough for the conversations that one tab switches between. */
const KEPT_LIMIT = 20;

/** @typedef {{draft?: string, place?: {top: number, following: boolean}}} Kept */

/**
 * @param {string} conversation
 * @returns {Kept}
 */
export function recall(conversation) {
  return load()[conversation] ?? {};
}

/**
 * @param {string} conversation
 * @param {Kept} change
 */
export function remember(conversation, change) {
  const { [conversation]: kept, ...others } = load();
  // The newest comes last.
  const entries = [...Object.entries(others), [conversation, { ...kept, ...change }]].slice(-KEPT_LIMIT);
  try {
    sessionStorage.setItem(STORAGE_NAME, JSON.stringify(Object.fromEntries(entries)));
  } catch {
    // Without storage, a draft lives until the reload.
  }
}

/** @returns {Record<string, Kept>} */
function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_NAME) ?? "{}") ?? {};
  } catch {
    return {};
  }
}
