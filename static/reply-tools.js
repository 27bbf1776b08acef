/** The row below a reply: the next steps, copying, its versions and its figures. */

import { countdown } from "./clock.js";
import { find, make, write } from "./dom.js";
import { offersOf } from "./outcome.js";
import { figuresOf } from "./spoken.js";
import { spellWait, words } from "./words.js";

const COPIED_SHOWN_MS = 2_000;

/** @typedef {import("./types.js").Exchange} Exchange */
/** @typedef {import("./outcome.js").Offer} Offer */

/**
 * @typedef {object} Actions What the buttons of an exchange do.
 * @property {(text: string) => Promise<boolean>} copy
 * @property {(exchange: Exchange) => void} again
 * @property {(exchange: Exchange) => void} edit
 * @property {(exchange: Exchange) => void} fresh
 * @property {(exchange: Exchange) => void} continue
 * @property {(exchange: Exchange, step: number) => void} version
 */

/** The tools of one reply. */
export class ReplyTools {
  #article;
  #exchange;
  #actions;
  #offers;
  #wait;
  #copy;
  #stopCountdown = () => {};
  /** @type {boolean|null} */
  #offered = null;

  /**
   * @param {HTMLElement} article
   * @param {Exchange} exchange
   * @param {Actions} actions
   */
  constructor(article, exchange, actions) {
    this.#article = article;
    this.#exchange = exchange;
    this.#actions = actions;
    this.#offers = find(".tools .offers", HTMLElement, article);
    this.#wait = find(".wait", HTMLElement, article);
    this.#copy = find(".tools .copy", HTMLButtonElement, article);
    this.#copy.addEventListener("click", () => this.#copyText());
    const watch = find(".tools .watch", HTMLButtonElement, article);
    watch.addEventListener("click", () => actions.copy(`${location.origin}/#watch=${exchange.id}`).then((done) => done && say(watch)));
    find(".tools .previous", HTMLButtonElement, article).addEventListener("click", () => actions.version(exchange, -1));
    find(".tools .next", HTMLButtonElement, article).addEventListener("click", () => actions.version(exchange, 1));
  }

  /** While a reply is written, there is no next step. */
  clear() {
    this.close();
    this.#show([]);
    this.#tell("");
  }

  /** Stops what runs by the clock. */
  close() {
    this.#stopCountdown();
  }

  /** Offers to send a prompt again that did not get to the server. @param {number} [from] */
  offerToSend(from = 0) {
    this.#show([["again", words.actions.sendAgain]]);
    this.#disableUntil(from);
  }

  /** The reply has ended: shows its figures. */
  end() {
    const figures = figuresOf(this.#exchange).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    find(".tools .figures", HTMLElement, this.#article).replaceChildren(...figures);
    find(".tools .details", HTMLElement, this.#article).hidden = figures.length === 0;
    this.#copy.hidden = this.#exchange.before + this.#exchange.text === "";
    this.#offered = null;
  }

  /** Shows the next steps, or hides them: a newer prompt has made them obsolete. @param {boolean} isNewest */
  offer(isNewest) {
    const { end, retryAt = 0 } = this.#exchange;
    if (!end || this.#offered === isNewest) return;
    this.#offered = isNewest;
    const offers = isNewest ? offersOf(this.#exchange) : [];
    const { tryAgain } = words.actions;
    const isFailure = end.status === "failed";
    this.#show(offers.map((offer) => [offer, offer === "again" && isFailure ? tryAgain : words.actions[offer]]));
    this.#disableUntil(isNewest ? retryAt : 0);
  }

  /**
   * Shows which version this is.
   *
   * @param {number} number
   * @param {number} count
   */
  showVersion(number, count) {
    const versions = find(".tools .versions", HTMLElement, this.#article);
    versions.hidden = count < 2;
    const label = find(".version", HTMLElement, versions);
    write(label, words.version(number, count));
    label.setAttribute("aria-label", words.versionSpoken(number, count));
    find(".previous", HTMLButtonElement, versions).disabled = number === 1;
    find(".next", HTMLButtonElement, versions).disabled = number === count;
  }

  /** @param {[Offer, string][]} offers */
  #show(offers) {
    const buttons = offers.map(([offer, said]) => {
      const button = make("button", { type: "button", class: `action ${offer}` }, said);
      button.addEventListener("click", () => this.#actions[offer](this.#exchange));
      return button;
    });
    this.#offers.replaceChildren(...buttons);
  }

  /** Disables the repetition until a time, and says in words how long that is. @param {number} until */
  #disableUntil(until) {
    this.#stopCountdown();
    this.#stopCountdown = countdown(until, (left) => {
      const again = this.#offers.querySelector(".again");
      if (again instanceof HTMLButtonElement) again.disabled = left > 0;
      this.#tell(left > 0 ? words.againIn(spellWait(left)) : "");
    });
  }

  /** @param {string} said */
  #tell(said) {
    this.#wait.hidden = said === "";
    write(this.#wait, said);
  }

  async #copyText() {
    const { before, text } = this.#exchange;
    if (!(await this.#actions.copy(before + text))) return;
    say(this.#copy);
  }
}

/** Lets a button say for a while that it has copied. @param {HTMLButtonElement} button */
function say(button) {
  const name = button.textContent ?? "";
  if (name === words.actions.copied) return;
  write(button, words.actions.copied);
  setTimeout(() => write(button, name), COPIED_SHOWN_MS);
}
