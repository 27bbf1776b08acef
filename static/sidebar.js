/** The list of conversations: opens, finds, renames, exports and deletes them. */

import { CONVERSATIONS_LIMIT } from "./archive.js";
import { titleOf } from "./conversation.js";
import { find, make, write } from "./dom.js";
import { exportAs } from "./exporter.js";
import { words } from "./words.js";

const UNDO_MS = 10_000;

/** @typedef {import("./types.js").Meta} Meta */

/** The list of conversations. */
export class Sidebar {
  #archive;
  #chat;
  #drawer = find("#drawer", HTMLElement);
  #list = find("#conversations", HTMLElement);
  #none = find("#no-conversations", HTMLElement);
  #search = find("#search", HTMLInputElement);
  #toast = find("#toast", HTMLElement);
  /** What was deleted last, while it can be put back.
   * @type {{conversation: import("./conversation.js").Conversation, stop: () => void, timer: number}|null} */
  #removed = null;
  /** Whose buttons are shown. @type {string|null} */
  #opened = null;
  #turn = 0;
  /** What the list shows. */
  #shown = "";

  /**
   * @param {import("./archive.js").Archive} archive
   * @param {import("./chat.js").Chat} chat
   */
  constructor(archive, chat) {
    this.#archive = archive;
    this.#chat = chat;
    this.#search.addEventListener("input", () => this.refresh());
    find("#undo", HTMLButtonElement).addEventListener("click", () => this.#undo());
  }

  /** Draws the list anew. */
  async refresh() {
    const turn = ++this.#turn;
    const wanted = this.#search.value.trim().toLowerCase();
    const metas = await this.#archive.list();
    const found = wanted === "" ? metas : await this.#matching(metas, wanted);
    // A title that is being typed must not disappear because a reply has ended.
    if (turn !== this.#turn || this.#list.querySelector(".rename")) return;
    this.#none.hidden = found.length > 0;
    write(this.#none, wanted === "" ? words.noneYet : words.noneFound);
    const running = this.#chat.runs.active;
    // A click on an element that is replaced meanwhile would be lost.
    const shown = JSON.stringify([this.#chat.id, this.#opened, found.map((meta) => [meta.id, titleOf(meta), running.has(meta.id)])]);
    const isSame = shown === this.#shown && this.#list.childElementCount === found.length;
    if (isSame) return;
    this.#shown = shown;
    const focused = document.activeElement?.id ?? "";
    this.#list.replaceChildren(...found.map((meta) => this.#item(meta, running.has(meta.id))));
    // The elements are new ones.
    if (focused !== "") document.getElementById(focused)?.focus({ preventScroll: true });
  }

  /** Asks to delete the oldest conversation if there are too many. @returns {Promise<boolean>} Whether there is room. */
  async makeRoom() {
    const metas = await this.#archive.list();
    const oldest = metas.at(-1);
    if (metas.length < CONVERSATIONS_LIMIT || !oldest) return true;
    const dialog = find("#ask", HTMLDialogElement);
    write(find("#ask-words", HTMLElement), words.atLimit(CONVERSATIONS_LIMIT, titleOf(oldest)));
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "yes") return false;
    await this.#archive.remove(oldest.id);
    return true;
  }

  /**
   * @param {Meta[]} metas
   * @param {string} wanted
   */
  async #matching(metas, wanted) {
    const ids = await this.#archive.search(wanted);
    return metas.filter((meta) => ids.has(meta.id) || `${meta.title}\n${meta.first}`.toLowerCase().includes(wanted));
  }

  /**
   * @param {Meta} meta
   * @param {boolean} running
   */
  #item(meta, running) {
    const title = titleOf(meta) || words.untitled;
    const link = make("a", { href: `#c=${meta.id}`, id: `open-${meta.id}`, dir: "auto" }, title);
    if (meta.id === this.#chat.id) link.setAttribute("aria-current", "page");
    if (running) link.append(make("span", { class: "dot", role: "img", "aria-label": words.isWriting }));
    link.addEventListener("click", () => this.close());
    const isOpen = this.#opened === meta.id;
    const options = make("button", {
      type: "button",
      class: "options",
      id: `options-${meta.id}`,
      "aria-expanded": String(isOpen),
      "aria-label": words.options(title),
    }, "⋯");
    options.addEventListener("click", () => {
      this.#opened = isOpen ? null : meta.id;
      this.refresh();
    });
    const item = make("li", {}, link, options);
    if (isOpen) item.append(this.#tools(meta, item));
    return item;
  }

  /**
   * @param {Meta} meta
   * @param {HTMLElement} item
   */
  #tools(meta, item) {
    const tool = (/** @type {string} */ said, /** @type {() => void} */ act) => {
      const button = make("button", { type: "button", class: "tool" }, said);
      button.addEventListener("click", act);
      return button;
    };
    return make(
      "div",
      { class: "item-tools" },
      tool(words.rename, () => this.#rename(meta, item)),
      tool(words.exportMarkdown, () => this.#export(meta, "md")),
      tool(words.exportJson, () => this.#export(meta, "json")),
      tool(words.delete, () => this.#delete(meta)),
    );
  }

  /**
   * @param {Meta} meta
   * @param {HTMLElement} item
   */
  #rename(meta, item) {
    const field = make("input", { type: "text", "aria-label": words.newTitle, maxlength: "120", dir: "auto" });
    const form = make("form", { class: "rename" }, field, make("button", { type: "submit" }, words.save));
    field.value = titleOf(meta);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      this.#opened = null;
      this.#leaveForm(form);
      await this.#chat.rename(meta, field.value.trim());
      await this.refresh();
      document.getElementById(`options-${meta.id}`)?.focus();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#opened = null;
      this.#leaveForm(form);
      this.refresh();
    });
    item.replaceChildren(form);
    field.select();
  }

  /** @param {HTMLElement} form */
  #leaveForm(form) {
    form.remove();
    this.#shown = "";
  }

  /**
   * @param {Meta} meta
   * @param {"md"|"json"} kind
   */
  async #export(meta, kind) {
    const conversation = await this.#archive.load(meta.id);
    if (conversation) exportAs(kind, conversation, titleOf(meta));
    this.#opened = null;
    this.refresh();
  }

  /** Deletes a conversation, and offers to undo that. @param {Meta} meta */
  async #delete(meta) {
    this.settle();
    const removed = await this.#chat.runs.discard(meta.id);
    if (!removed) return;
    this.#removed = { ...removed, timer: setTimeout(() => this.settle(), UNDO_MS) };
    this.#opened = null;
    write(find("#toast-words", HTMLElement), words.deleted(titleOf(meta)));
    this.#toast.hidden = false;
    find("#undo", HTMLButtonElement).focus({ preventScroll: true });
    if (meta.id === this.#chat.id) location.hash = "new";
    else this.refresh();
  }

  async #undo() {
    if (!this.#removed) return;
    const { conversation, timer } = this.#removed;
    clearTimeout(timer);
    this.#removed = null;
    this.#toast.hidden = true;
    await this.#archive.restore(conversation);
    location.hash = `c=${conversation.id}`;
  }

  /** There is no way back any more: the replies of what was deleted are stopped. */
  settle() {
    clearTimeout(this.#removed?.timer);
    this.#removed?.stop();
    this.#removed = null;
    if (this.#toast.contains(document.activeElement)) find("#prompt", HTMLElement).focus({ preventScroll: true });
    this.#toast.hidden = true;
  }

  /** Closes the drawer, where it is one. */
  close() {
    if (this.#drawer.matches(":popover-open")) this.#drawer.hidePopover();
  }
}
