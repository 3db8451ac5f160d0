/**
 * What the server is told of how the picture is shown, so that it sends no more than that: the player's size, whether anybody looks,
 * whether data is to be saved. Told on change alone.
 *
 * @module
 */

/** A page that was hidden for a moment, by a glance at another one, goes on as if it had not been. */
const GLANCE_MS = 2000;

/** @typedef {{type: 'hint', width?: number, height?: number, hidden?: boolean, save_data?: boolean}} Hint */

export class Hints {
  #send;
  #page;
  #connection;
  /** @type {Hint} */
  #said = { type: 'hint' };
  #glance = 0;
  #look = () => this.#looked();
  #save = () => this.#saving();

  /**
   * @param {(hint: Hint) => void} send
   * @param {Document} [page]
   * @param {{saveData?: boolean} & EventTarget} [connection]
   */
  constructor(send, page = globalThis.document, connection = globalThis.navigator?.connection) {
    this.#send = send;
    this.#page = page;
    this.#connection = connection;
    page?.addEventListener('visibilitychange', this.#look);
    page?.addEventListener('enterpictureinpicture', this.#look);
    page?.addEventListener('leavepictureinpicture', this.#look);
    connection?.addEventListener?.('change', this.#save);
    this.#save();
    if (this.#unseen()) this.#look();
  }

  /** The player's size in device pixels; one that has none is not laid out, and says nothing. */
  shownAt(width, height) {
    if (width > 0 && height > 0) this.#tell({ width, height });
  }

  /** Tells all of it: the channel is new. */
  repeat() {
    if (Object.keys(this.#said).length > 1) this.#send(this.#said);
  }

  stop() {
    clearTimeout(this.#glance);
    for (const type of ['visibilitychange', 'enterpictureinpicture', 'leavepictureinpicture']) this.#page?.removeEventListener(type, this.#look);
    this.#connection?.removeEventListener?.('change', this.#save);
  }

  #unseen() {
    return this.#page?.visibilityState === 'hidden' && !this.#page.pictureInPictureElement;
  }

  #looked() {
    clearTimeout(this.#glance);
    if (this.#unseen()) this.#glance = setTimeout(() => this.#tell({ hidden: true }), GLANCE_MS);
    else if (this.#said.hidden) this.#tell({ hidden: false });
  }

  #saving() {
    const save = Boolean(this.#connection?.saveData);
    if (save !== Boolean(this.#said.save_data)) this.#tell({ save_data: save });
  }

  #tell(news) {
    const before = JSON.stringify(this.#said);
    this.#said = { ...this.#said, ...news };
    if (JSON.stringify(this.#said) !== before) this.#send({ type: 'hint', ...news });
  }
}
