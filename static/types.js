/** The types that several modules share. No code. */

/** @typedef {import("./proof.js").Proof} Proof */

/**
 * @typedef {object} End The data of an `end` event, also part of the snapshot of an ended reply.
 * @property {"completed"|"stopped"|"failed"} status
 * @property {string|null} finish_reason
 * @property {string} [reason] Why it was stopped: `viewer` or `unread`.
 * @property {string|null} [model]
 * @property {any} [usage]
 * @property {number} [bytes] Length of the complete text in bytes of UTF-8.
 * @property {string} [sha256] SHA-256 of the complete text in UTF-8.
 * @property {{first: number|null, total: number}} [ms]
 * @property {{code: string, message: string, retryable: boolean, retry_after_ms?: number}} [error]
 */

/** @typedef {{code: string, message: string, retry_after_ms?: number, attempt?: number}} Notice */

/**
 * @typedef {object} Listener The callbacks of a {@link Viewer}.
 * @property {() => void} connected An event or a snapshot arrived; a ping counts.
 * @property {() => void} reconnecting
 * @property {(text: string) => void} appended
 * @property {(text: string, why?: string) => void} replaced
 * @property {(reasoning: string) => void} reasoned The model's reasoning so far, whole.
 * @property {(notice: Notice) => void} noticed
 * @property {(end: End, proof: Proof, deltas: number|null) => void} ended Called once, last.
 */

/**
 * @typedef {object} Exchange One prompt and its reply. Exchanges with the same parent are versions of each other.
 * @property {string} key Its name, which is also the `Idempotency-Key` of its POST.
 * @property {string|null} parent The key of the exchange before it; null for the first one.
 * @property {number} created
 * @property {string} prompt
 * @property {string} before The text of an earlier reply that this one continues; mostly empty.
 * @property {string} text The text of the reply itself, as far as it was saved.
 * @property {string} [reasoning] The model's reasoning, as far as it was saved. It is never sent.
 * @property {string} [id]
 * @property {string} [events]
 * @property {string} [self]
 * @property {boolean} [stopped] Whether a page of this browser asked to stop it.
 * @property {boolean} [leftOut] Whether later prompts leave it out.
 * @property {End} [end]
 * @property {Proof} [proof]
 * @property {number|null} [deltas]
 * @property {number} [retryAt] The earliest time to try again, in milliseconds since the epoch.
 */

/**
 * @typedef {object} Meta What the list of conversations shows, and which versions are chosen.
 * @property {string} id
 * @property {string} title Empty until the user gives one.
 * @property {boolean} [watched] Whether it shows a reply that another browser has started. It is not kept.
 * @property {string} first The beginning of the first prompt.
 * @property {number} created
 * @property {number} updated
 * @property {Record<string, string>} chosen The key of the chosen version by the key of its parent; "" for the first prompt.
 */

export {};
