/**
 * All recordings, the newest first, each with a picture; those that run can be paused and stopped.
 *
 * @module
 */

import { call, list } from '../api.js';
import { el, toast } from '../ui.js';
import { duration, isOver, size } from './format.js';

const REFRESH_MS = 3000;

/** What is done about a running recording, by its state. */
const ACTIONS = { active: [['pause', 'Pause'], ['stop', 'Stop']], paused: [['resume', 'Resume'], ['stop', 'Stop']], starting: [['stop', 'Stop']] };

/** A state as a word with a colour. @param {{state: string, reason?: string}} recording */
export function tag({ state, reason }) {
  const tone = { complete: 'good', failed: 'bad', interrupted: 'bad' }[state] ?? (isOver(state) ? '' : 'live-tag');
  const text = state === 'complete' || !reason ? state : `${state}: ${reason.replaceAll('_', ' ')}`;
  return el('span', { class: `tag ${tone}`, 'data-state': state }, text);
}

/** Buttons for what can be done now; `done` follows. @param {{id: string, state: string}} recording @param {() => void} done */
export function actions({ id, state }, done) {
  return (ACTIONS[state] ?? []).map(([act, label]) => el('button', {
    type: 'button',
    class: 'button',
    'data-act': act,
    onclick: async ({ currentTarget }) => {
      currentTarget.disabled = true;
      await call('POST', `/v1/recordings/${id}/${act}`).catch((error) => toast(error.message, 'bad'));
      done();
    },
  }, label));
}

export class List {
  #timer = 0;
  #cards = new Map();
  #end = new AbortController();

  constructor() {
    this.list = el('ul', { class: 'recordings' });
    this.empty = el('p', { class: 'empty', hidden: true }, 'Nothing has been recorded yet.');
    this.filter = el('input', { id: 'filter', type: 'search', placeholder: 'all rooms', autocomplete: 'off', oninput: () => this.sift() });
    const head = el('div', { class: 'row head' }, el('h1', {}, 'Recordings'), el('label', { for: 'filter' }, 'Room'), this.filter);
    this.element = el('section', {}, head, this.empty, this.list);
    this.refresh();
    this.#timer = setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
  }

  close() {
    clearInterval(this.#timer);
    this.#end.abort();
    for (const { image } of this.#cards.values()) if (image.src.startsWith('blob:')) URL.revokeObjectURL(image.src);
  }

  async refresh() {
    try {
      const all = await list('/v1/recordings?limit=100');
      for (const [id, { element }] of this.#cards) {
        if (all.some((recording) => recording.id === id)) continue;
        element.remove();
        this.#cards.delete(id);
      }
      all.forEach((recording, index) => this.show(recording, index));
      this.empty.hidden = all.length > 0;
      this.sift();
    } catch (error) {
      if (this.#end.signal.aborted) return;
      this.empty.hidden = false;
      this.empty.textContent = error.message;
    }
  }

  sift() {
    const wanted = this.filter.value.trim().toLowerCase();
    for (const { element, room } of this.#cards.values()) element.hidden = !room.toLowerCase().includes(wanted);
  }

  show(recording, index) {
    const { id, room, state } = recording;
    const card = this.#cards.get(id) ?? this.card(recording);
    if (this.list.children[index] !== card.element) this.list.insertBefore(card.element, this.list.children[index] ?? null);
    const bytes = recording.files.reduce((sum, file) => sum + file.bytes, 0);
    const facts = [new Date(recording.started_at).toLocaleString(), duration(recording.duration_ms), bytes > 0 && size(bytes)];
    card.facts.textContent = facts.filter(Boolean).join(' · ');
    if (card.state === state) return;
    card.state = state;
    card.status.replaceChildren(tag(recording), ...actions(recording, () => this.refresh()));
    card.link.setAttribute('aria-label', `${room}, ${facts[0]}`);
    if (state !== 'starting') this.picture(card.image, id);
  }

  card({ id, room }) {
    const image = el('img', { alt: '', width: 320, height: 180 });
    const facts = el('span', { class: 'soft' });
    const link = el('a', { href: `#/${id}`, class: 'recording' }, image, el('strong', {}, room), facts);
    const status = el('div', { class: 'row' });
    const card = { element: el('li', { 'data-id': id }, link, status), room, image, facts, link, status, state: null };
    this.#cards.set(id, card);
    return card;
  }

  async picture(image, id) {
    try {
      const blob = await (await call('GET', `/v1/recordings/${id}/thumbnail.jpg`, { signal: this.#end.signal })).blob();
      if (image.src.startsWith('blob:')) URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(blob);
    } catch {
      // There is none yet.
    }
  }
}
