/**
 * All rooms, each with a picture of what it composes; and what the server does for them.
 *
 * @module
 */

import { call, list, picture, roomPath } from '../api.js';
import { el, ROOM, toast } from '../ui.js';

const LIST_MS = 3000;
const PICTURE_MS = 8000;

/** Figures of `/metrics` that say how the server is doing. */
const FIGURES = [
  ['mixdown_rooms', 'rooms'],
  ['mixdown_peers', 'connections'],
  ['mixdown_renditions', 'encodes'],
  ['mixdown_feeds', 'subscribers'],
  ['mixdown_encode_sharing_ratio', 'subscribers per encode'],
  ['mixdown_ticks_missed_total', 'pictures missed'],
];

/** Sums of the metrics by name. @param {string} text - of Prometheus @returns {Map<string, number>} */
export function figures(text) {
  const sums = new Map();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z_]+)(?:\{[^}]*\})? (\S+)$/.exec(line) ?? [];
    if (name) sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return sums;
}

export class Rooms {
  #cards = new Map();
  #timer = 0;

  constructor() {
    this.figures = el('dl', { class: 'figures', 'aria-label': 'Load' });
    this.list = el('ul', { class: 'room-cards' });
    this.empty = el('p', { class: 'empty', hidden: true }, 'No room runs. Rooms appear when somebody joins, or here:');
    this.name = el('input', { id: 'new-room', required: true, pattern: ROOM.source, autocomplete: 'off', placeholder: 'standup' });
    this.element = el(
      'section',
      {},
      el('h1', {}, 'Rooms'),
      this.figures,
      this.list,
      this.empty,
      el(
        'form',
        { class: 'row', onsubmit: (event) => this.create(event) },
        el('label', { for: 'new-room' }, 'New room'),
        this.name,
        el('button', { class: 'button' }, 'Make'),
      ),
    );
    this.refresh();
    this.#timer = setInterval(() => document.hidden || this.refresh(), LIST_MS);
  }

  close() {
    clearInterval(this.#timer);
    for (const card of this.#cards.values()) card.stop();
  }

  async refresh() {
    try {
      const rooms = await list('/v1/rooms');
      this.show(rooms);
      this.count(await (await call('GET', '/metrics')).text());
    } catch (error) {
      this.empty.hidden = false;
      this.empty.textContent = error.message;
    }
  }

  show(rooms) {
    for (const [name, card] of this.#cards) {
      if (rooms.some(({ room }) => room === name)) continue;
      card.stop();
      card.element.remove();
      this.#cards.delete(name);
    }
    for (const room of rooms) {
      if (!this.#cards.has(room.room)) this.#cards.set(room.room, this.card(room.room));
      const { people, lock } = this.#cards.get(room.room);
      people.textContent = room.participants === 1 ? '1 person' : `${room.participants} people`;
      lock.hidden = !room.locked;
    }
    this.empty.hidden = rooms.length > 0;
    this.empty.textContent = 'No room runs. Rooms appear when somebody joins, or here:';
  }

  card(name) {
    const image = el('img', { alt: '', width: 320, height: 180 });
    const people = el('span', { class: 'soft' });
    const lock = el('span', { class: 'tag', hidden: true }, 'Locked');
    const link = el('a', { href: `#/rooms/${encodeURIComponent(name)}`, class: 'room-card' }, image, el('strong', {}, name), people, lock);
    const element = el('li', {}, link);
    this.list.append(element);
    return { element, people, lock, stop: picture(image, roomPath(name, 'views', 'main', 'snapshot.jpg') + '?width=320', PICTURE_MS) };
  }

  count(text) {
    const sums = figures(text);
    const known = FIGURES.filter(([name]) => sums.has(name));
    const shown = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(1));
    this.figures.replaceChildren(...known.map(([name, label]) => el('div', {}, el('dt', {}, label), el('dd', {}, shown(sums.get(name))))));
  }

  async create(event) {
    event.preventDefault();
    try {
      await call('PUT', roomPath(this.name.value), { body: {} });
      this.name.value = '';
      await this.refresh();
    } catch (error) {
      toast(error.message, 'bad');
    }
  }
}
