/**
 * Who was removed or turned away and cannot come back with the same token, and letting them.
 *
 * @module
 */

import { call, list, roomPath } from '../api.js';
import { redraw } from '../redraw.js';
import { announce, el, toast } from '../ui.js';

export class Removed {
  #room;
  #timer = 0;

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    this.list = el('ul', { class: 'chips' });
    this.element = el('section', { class: 'card', 'aria-labelledby': 'removed-title', hidden: true }, el('h2', { id: 'removed-title' }, 'Removed'), this.list);
  }

  /** Asks again soon; many events make one request. */
  soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), 150);
  }

  close() {
    clearTimeout(this.#timer);
  }

  async refresh() {
    const all = await list(roomPath(this.#room, 'removed')).catch(() => []);
    this.element.hidden = all.length === 0;
    redraw(this.list, all.map((one) => this.#item(one)));
  }

  #item({ identity, removed_at: at }) {
    const allow = async () => {
      try {
        await call('DELETE', roomPath(this.#room, 'removed', identity));
        announce(`${identity} may come back`);
      } catch (error) {
        toast(error.message, 'bad');
      }
      await this.refresh();
    };
    const button = el('button', { type: 'button', 'data-key': `allow ${identity}`, 'aria-label': `Let ${identity} come back`, onclick: allow }, 'Let come back');
    return el('li', { class: 'chip', title: new Date(at).toLocaleString() }, identity, button);
  }
}
