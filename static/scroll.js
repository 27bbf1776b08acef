/**
 * What part of the transcript is in view. A new prompt moves near the top, and its reply grows below it
 * without moving. At the bottom, the view follows; a reader who scrolls up stays there.
 */

const BOTTOM_PX = 64;
const TOP_GAP_PX = 12;

/** The scrolling of the transcript. */
export class Scroll {
  #scroller;
  #button;
  #following = false;
  #lastTop = 0;
  /** Where the page itself has scrolled to: the event that follows is not the reader's. */
  #ownTop = -1;
  /** @type {HTMLElement|null} */
  #roomy = null;

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLButtonElement} button Jumps to the newest text.
   */
  constructor(scroller, button) {
    this.#scroller = scroller;
    this.#button = button;
    scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    button.addEventListener("click", () => {
      this.toEnd();
      scroller.focus({ preventScroll: true });
    });
    new ResizeObserver(() => this.grew()).observe(scroller);
  }

  /** Keeps the end in view if the reader follows it. */
  grew() {
    if (this.#following) this.#moveTo(this.#scroller.scrollHeight);
    this.#updateButton();
  }

  /** Scrolls to the end and follows it. */
  toEnd() {
    this.#following = true;
    this.grew();
  }

  /**
   * Brings the newest item near the top, with room for its reply below it.
   *
   * @param {HTMLElement} item
   */
  toTop(item) {
    if (this.#roomy) this.#roomy.style.removeProperty("min-height");
    this.#roomy = item;
    item.style.setProperty("min-height", `${this.#scroller.clientHeight - 2 * TOP_GAP_PX}px`);
    this.#following = false;
    const top = item.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    this.#moveTo(this.#scroller.scrollTop + top - TOP_GAP_PX);
    this.#updateButton();
  }

  /** The place in the transcript, for a return to it. */
  get place() {
    return { top: this.#scroller.scrollTop, following: this.#following };
  }

  /** @param {{top: number, following: boolean}|null} place The place to return to; the end if there is none. */
  restore(place) {
    this.#roomy = null;
    if (!place || place.following) {
      this.toEnd();
      return;
    }
    this.#following = false;
    this.#moveTo(place.top);
    this.#updateButton();
  }

  /** Shows the beginning: the transcript is empty. */
  reset() {
    this.#roomy = null;
    this.#following = false;
    this.#moveTo(0);
    this.#updateButton();
  }

  /** @param {number} top */
  #moveTo(top) {
    this.#scroller.scrollTop = top;
    this.#ownTop = this.#scroller.scrollTop;
    this.#lastTop = this.#ownTop;
  }

  #onScroll() {
    const top = this.#scroller.scrollTop;
    if (Math.abs(top - this.#ownTop) > 1) {
      this.#following = this.#isAtBottom() || (this.#following && top >= this.#lastTop);
      this.#ownTop = -1;
    }
    this.#lastTop = top;
    this.#updateButton();
  }

  #isAtBottom() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return scrollHeight - clientHeight - scrollTop <= BOTTOM_PX;
  }

  #updateButton() {
    this.#button.hidden = this.#following || this.#isAtBottom();
  }
}
