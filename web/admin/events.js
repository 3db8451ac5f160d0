/**
 * What happens, as it happens: the log of one room or of all.
 *
 * @module
 */

import { follow } from '../api.js';
import { el, table } from '../ui.js';

const KEPT = 300;

/** A line for people. @param {{type: string, data: any}} event @param {Map<string, string>} names - by id */
export function told({ type, data }, names) {
  const id = typeof data?.participant === 'string' ? data.participant : '';
  const who = data?.participant?.name ?? data?.name ?? names.get(id) ?? id;
  const detail = data?.text ?? data?.reason ?? data?.view ?? '';
  return [who, detail].filter(Boolean).join(': ') || (type === 'room.updated' ? 'settings' : '');
}

/** A list of events that follows a path; `heard` sees each of them too. */
export class EventLog {
  #stop;
  /** Names of those who were told of. */
  #names = new Map();

  /** @param {string} path @param {{room?: boolean, heard?: (event: any) => void}} [options] */
  constructor(path, { room = false, heard = () => {} } = {}) {
    this.state = el('span', { class: 'tag' }, 'connecting');
    this.rows = el('tbody');
    const log = table(['Time', ...(room ? ['Room'] : []), 'Event', ''], this.rows, { class: 'log' });
    this.element = el('div', { class: 'log-frame', tabIndex: 0, role: 'region', 'aria-label': 'Events' }, log);
    this.#stop = follow(
      path,
      (event) => {
        this.add(event, room);
        heard(event);
      },
      (live) => {
        this.state.textContent = live ? 'live' : 'not connected';
        this.state.classList.toggle('live-tag', live);
      },
    );
  }

  add(event, room) {
    const { participant } = event.data ?? {};
    if (participant?.id) this.#names.set(participant.id, participant.name);
    const time = el('time', { dateTime: event.at }, new Date(event.at).toLocaleTimeString());
    const cells = [time, ...(room ? [event.room] : []), el('code', {}, event.type), told(event, this.#names)];
    const json = el('details', {}, el('summary', {}, 'JSON'), el('pre', {}, JSON.stringify(event.data, null, 2)));
    this.rows.prepend(el('tr', {}, ...cells.map((cell, index) => el('td', {}, cell, index === cells.length - 1 && json))));
    while (this.rows.childElementCount > KEPT) this.rows.lastElementChild.remove();
  }

  close() {
    this.#stop();
  }
}

export class Events {
  constructor() {
    this.log = new EventLog('/v1/events', { room: true });
    this.element = el('section', {}, el('h1', {}, 'Events ', this.log.state), this.log.element);
  }

  close() {
    this.log.close();
  }
}
