/**
 * What a reload of this tab must not lose: what the reader was typing and looking at, and the text of a running
 * reply. The database may be too slow for that: a page that is left gets no answer from it.
 */

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

const TEXTS_NAME = "rasta-stream.texts";

/** @typedef {{text: string, reasoning: string}} Received */

/**
 * Keeps what has arrived of the running replies.
 *
 * @param {Record<string, Received>} texts By the key of the exchange.
 */
export function keepTexts(texts) {
  try {
    sessionStorage.setItem(TEXTS_NAME, JSON.stringify(texts));
  } catch {
    // The database has most of it.
  }
}

/**
 * @param {string} key
 * @returns {Received|null}
 */
export function keptText(key) {
  try {
    return JSON.parse(sessionStorage.getItem(TEXTS_NAME) ?? "{}")[key] ?? null;
  } catch {
    return null;
  }
}
