/** A line of Markdown while its beginning is parsed: indentation, in columns, and the text after it. */

const TAB_COLUMNS = 4;

export class Line {
  #text;
  #at = 0;
  #column = 0;
  /** How many columns of a tab are left, of which some are used up. */
  #leftOfTab = 0;

  /** @param {string} text Without its line break. */
  constructor(text) {
    this.#text = text;
  }

  /** The columns of white space from here on. */
  get indent() {
    return this.#white().columns;
  }

  /** Whether nothing but white space is left. */
  get isBlank() {
    return this.#white().end >= this.#text.length;
  }

  /** What follows the white space. */
  get words() {
    return this.#text.slice(this.#white().end);
  }

  /** All that is left, with spaces for the columns of a tab that is used up in part. */
  get rest() {
    if (this.#leftOfTab === 0) return this.#text.slice(this.#at);
    return " ".repeat(this.#leftOfTab) + this.#text.slice(this.#at + 1);
  }

  /**
   * Passes over white space of at most so many columns.
   *
   * @param {number} count
   */
  skipColumns(count) {
    let left = count;
    while (left > 0) {
      const character = this.#text[this.#at];
      if (character === "\t") {
        const width = this.#leftOfTab || TAB_COLUMNS - (this.#column % TAB_COLUMNS);
        const used = Math.min(width, left);
        this.#column += used;
        left -= used;
        this.#leftOfTab = width - used;
        if (this.#leftOfTab === 0) this.#at += 1;
      } else if (character === " ") {
        this.#at += 1;
        this.#column += 1;
        left -= 1;
      } else return;
    }
  }

  /**
   * Passes over the white space and then so many characters.
   *
   * @param {number} length
   */
  skipMark(length) {
    const { end, columns } = this.#white();
    this.#at = end + length;
    this.#column += columns + length;
    this.#leftOfTab = 0;
  }

  #white() {
    let [at, column] = [this.#at, this.#column];
    if (this.#leftOfTab > 0) {
      column += this.#leftOfTab;
      at += 1;
    }
    for (; ; at += 1) {
      if (this.#text[at] === " ") column += 1;
      else if (this.#text[at] === "\t") column += TAB_COLUMNS - (column % TAB_COLUMNS);
      else return { end: at, columns: column - this.#column };
    }
  }
}
