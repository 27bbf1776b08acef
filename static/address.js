/** What the address names: a conversation (`#c=ID`), a new one (`#new`), or a reply of another browser (`#watch=ID`). */

/**
 * Shows what the address names, now and whenever it changes.
 *
 * @param {import("./chat.js").Chat} chat
 * @param {import("./archive.js").Archive} archive
 */
export function connectAddress(chat, archive) {
  const open = async () => {
    const before = chat.lastPrompt;
    const watched = /^#watch=([0-9a-f-]{32,36})$/.exec(location.hash)?.[1];
    if (watched) {
      chat.watch(watched);
      return;
    }
    const id = await idOf(archive);
    // Unless the reader has submitted a prompt meanwhile.
    if (chat.lastPrompt === before) await chat.open(id);
  };
  addEventListener("hashchange", open);
  open();
}

/**
 * Names the shown conversation in the address, so that a reload and a bookmark lead to it.
 *
 * @param {import("./chat.js").Chat} chat
 */
export function showAddress(chat) {
  const address = chat.lastPrompt === "" ? location.hash : `#c=${chat.id}`;
  if (location.hash !== address) history.replaceState(null, "", address);
}

/**
 * The named conversation, else the newest one.
 *
 * @param {import("./archive.js").Archive} archive
 */
async function idOf(archive) {
  const named = /^#c=([0-9a-f]{32})$/.exec(location.hash)?.[1];
  if (named || location.hash === "#new") return named ?? null;
  return (await archive.list())[0]?.id ?? null;
}
