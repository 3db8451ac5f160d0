/**
 * Egress: what leaves the rooms for other places, how it fares, and starting an HLS stream.
 *
 * @module
 */

import { call, credentials, list, roomPath } from '../api.js';
import { redraw } from '../redraw.js';
import { announce, complaints, el, table, toast } from '../ui.js';
import { fares, follows } from './fares.js';

const REFRESH_MS = 2000;

const GOOD = new Set(['active', 'starting', 'complete']);

export class Egress {
  #timer = 0;
  #outcome = complaints();

  constructor() {
    this.rows = el('tbody');
    this.none = el('p', { class: 'empty', hidden: true }, 'Nothing leaves this server. Start a stream here, or ask for more over the API: WHIP, RTMP, stills.');
    this.table = table(['Room', 'View', 'State', 'Outputs', 'Since', ''], this.rows, { label: 'Egress' });
    this.room = el('select', { id: 'egress-room', required: true });
    this.open = el('input', { type: 'checkbox', id: 'egress-public' });
    this.start = el('button', {}, 'Start HLS');
    const form = el('form', { class: 'row', onsubmit: (event) => this.#begin(event) },
      el('label', { for: 'egress-room' }, 'Room'), this.room,
      el('label', { for: 'egress-public' }, this.open, ' open to whoever knows the address'), this.start);
    this.element = el('section', {}, el('h1', {}, 'Egress'), form, this.none, el('div', { class: 'scroll' }, this.table));
    this.refresh();
    this.#timer = setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
  }

  close() {
    clearInterval(this.#timer);
  }

  async refresh() {
    try {
      const [all, rooms] = await Promise.all([list('/v1/egress'), list('/v1/rooms')]);
      this.none.hidden = all.length > 0;
      this.table.hidden = all.length === 0;
      const names = rooms.map(({ room }) => room);
      if (document.activeElement !== this.room) {
        const chosen = this.room.value;
        this.room.replaceChildren(...names.map((name) => el('option', { selected: name === chosen }, name)));
      }
      this.start.disabled = names.length === 0;
      redraw(this.rows, all.map((egress) => this.row(egress)));
      this.#outcome(null);
    } catch (error) {
      this.#outcome(error);
    }
  }

  row(egress) {
    const { id, room, view, state, outputs, started_at: since } = egress;
    const output = (each) => {
      const where = follows(each, credentials.get() !== '') ? el('a', { href: each.url, target: '_blank', rel: 'noopener', 'data-key': each.url }, each.url) : el('span', {}, each.url);
      return el('div', {}, el('code', {}, each.type), ' ', where, ' ', el('span', { class: GOOD.has(each.state) ? 'good' : 'bad' }, fares(each, Date.now())));
    };
    const stop = el('button', { type: 'button', class: 'quiet danger', 'data-key': id, 'aria-label': `Stop what leaves ${room}`, onclick: () => this.#end(egress) }, 'Stop');
    const cells = [room, view, el('span', { class: GOOD.has(state) ? 'good' : 'bad' }, state), el('div', {}, ...outputs.map(output)), el('time', { dateTime: since }, new Date(since).toLocaleString())];
    return el('tr', {}, ...cells.map((cell) => el('td', {}, cell)), el('td', {}, stop));
  }

  async #begin(event) {
    event.preventDefault();
    try {
      const hls = this.open.checked ? { public: true } : {};
      await call('POST', roomPath(this.room.value, 'egress'), { body: { outputs: [{ hls }] } });
      announce('The stream has begun');
    } catch (error) {
      toast(error.message, 'bad');
    }
    await this.refresh();
  }

  async #end({ id, room }) {
    if (!confirm(`Stop what leaves ${room}? Who watches it there sees it end.`)) return;
    await call('DELETE', `/v1/egress/${id}`).catch((error) => toast(error.message, 'bad'));
    await this.refresh();
  }
}
