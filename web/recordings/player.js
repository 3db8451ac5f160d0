/**
 * One recording: the picture, and under it who spoke when, chapters to jump to, and what else happened.
 *
 * @module
 */

import { call, credentials, read } from '../api.js';
import { announce, el, hue, toast } from '../ui.js';
import { duration, isOver, lanes, size } from './format.js';
import { actions, tag } from './list.js';
import { plain, Source } from './source.js';

const REFRESH_MS = 3000;

/** Events of the timeline in words; others are not shown. */
const WORDS = {
  joined: ({ name }) => `${name} joined`,
  left: (event, names) => `${names.get(event.participant) ?? 'Somebody'} left`,
  renamed: ({ name }) => `Somebody is now called ${name}`,
  chat: ({ name, text }) => `${name || 'Operator'}: ${text}`,
  ingress: ({ state }) => `${state.name}: ${state.state}`,
  paused: () => 'Recording paused',
  resumed: () => 'Recording resumed',
  gap: ({ lost, track }) => `${lost} ${track === 'video' ? 'pictures' : 'packets of sound'} lost`,
};

export class Player {
  #id;
  #timer = 0;
  #source = null;
  #state = null;

  /** @param {string} id */
  constructor(id) {
    this.#id = id;
    this.title = el('h1', {}, 'Recording');
    this.status = el('div', { class: 'row' });
    this.video = el('video', { controls: true, playsInline: true, preload: 'metadata', tabIndex: 0 });
    this.fault = el('p', { class: 'error', role: 'alert' });
    this.facts = el('p', { class: 'soft' });
    this.lanes = el('div', { class: 'lanes', role: 'group', 'aria-label': 'Who spoke when' });
    this.tracks = el('ul', { class: 'happened' });
    this.trackCard = el('div', { class: 'card', id: 'tracks', hidden: true }, el('h2', {}, 'Tracks'), this.tracks);
    this.chapters = el('ol', { class: 'chapters' });
    this.events = el('ol', { class: 'happened' });
    this.element = el(
      'section',
      {},
      el('p', {}, el('a', { href: '#/' }, '← All recordings')),
      el('div', { class: 'row head' }, this.title, this.status),
      this.video,
      this.fault,
      this.lanes,
      this.facts,
      el('div', { class: 'columns' }, el('div', { class: 'card' }, el('h2', {}, 'Chapters'), this.chapters), el('div', { class: 'card' }, el('h2', {}, 'What happened'), this.events), this.trackCard),
    );
    this.video.addEventListener('timeupdate', () => this.#follow());
    this.video.addEventListener('error', () => { this.fault.textContent = 'The browser cannot play this recording; it can be downloaded.'; });
    this.refresh();
    this.#timer = setInterval(() => document.hidden || isOver(this.#state ?? '') || this.refresh(), REFRESH_MS);
  }

  close() {
    clearInterval(this.#timer);
    this.#source?.close();
    this.video.removeAttribute('src');
    this.video.load();
  }

  async refresh() {
    try {
      const { value } = await read(`/v1/recordings/${this.#id}`);
      this.#show(value);
      this.#timeline((await read(`/v1/recordings/${this.#id}/timeline.json`)).value);
      if (value.tracks !== 'composite') this.#list((await read(`/v1/recordings/${this.#id}/tracks?limit=1000`)).value.items);
    } catch (error) {
      this.fault.textContent = error.message;
    }
  }

  #show(recording) {
    const { room, state, upload, video } = recording;
    this.title.textContent = `${room}, ${new Date(recording.started_at).toLocaleString()}`;
    const bytes = recording.files.reduce((sum, file) => sum + file.bytes, 0);
    const lost = recording.lost_pictures + recording.lost_packets;
    const facts = [`view ${recording.view}`, duration(recording.duration_ms), video && `${video.width}×${video.height} ${video.codec}`, bytes > 0 && size(bytes), lost > 0 && `${lost} pictures and packets lost`, upload && [`upload ${upload.state}`, upload.error].filter(Boolean).join(': ')];
    this.facts.textContent = facts.filter(Boolean).join(' · ');
    if (this.#state === state) return;
    this.#state = state;
    const over = [
      el('button', { type: 'button', class: 'button', id: 'download', hidden: recording.tracks === 'each', onclick: () => this.#download('media', `${room}-${recording.started_at.replace(/\D/g, '').slice(0, 14)}.mp4`) }, 'Download'),
      el('button', { type: 'button', class: 'danger', id: 'delete', onclick: () => this.#delete() }, 'Delete'),
    ];
    this.status.replaceChildren(tag(recording), ...actions(recording, () => this.refresh()), ...(isOver(state) ? over : []));
    this.video.hidden = recording.tracks === 'each';
    if (state !== 'starting' && !this.video.src && !this.#source && !this.video.hidden) this.#play(recording);
  }

  #play(recording) {
    if (plain(recording, credentials.get() !== '')) this.video.src = `/v1/recordings/${this.#id}/media`;
    else this.#source = new Source(this.video, recording, (error) => this.#fail(error));
  }

  /** What could not be fetched at all is tried again in the next state. */
  #fail(error) {
    this.fault.textContent = error.message;
    if (this.video.src) return;
    this.#source.close();
    this.#source = null;
  }

  #timeline(timeline) {
    const names = new Map(timeline.turns.map(({ participant, name }) => [participant, name]));
    for (const { participant, name } of timeline.events) if (participant && name) names.set(participant, name);
    const jump = (ms) => () => {
      this.video.currentTime = ms / 1000;
      this.video.focus();
    };
    this.lanes.replaceChildren(...lanes(timeline).map(({ name, turns }) => el(
      'div',
      { class: 'lane' },
      el('span', { class: 'who' }, name),
      el('div', { class: 'track' }, ...turns.map(({ from_ms: from, to_ms: to, at, length }) => {
        const bar = el('button', { type: 'button', class: `turn ${hue(name)}`, title: `${name}, ${duration(from)} to ${duration(to)}`, 'aria-label': `${name} speaks at ${duration(from)}`, onclick: jump(from) });
        bar.style.insetInlineStart = `${at * 100}%`;
        bar.style.inlineSize = `${length * 100}%`;
        return bar;
      })),
    )));
    this.chapters.replaceChildren(...timeline.turns.map(({ name, from_ms: from, to_ms: to }) => el(
      'li',
      { 'data-from': from, 'data-to': to },
      el('button', { type: 'button', class: 'quiet', onclick: jump(from) }, el('time', {}, duration(from)), ` ${name}`),
    )));
    const told = timeline.events.filter(({ type }) => Object.hasOwn(WORDS, type));
    this.events.replaceChildren(...told.map((event) => el('li', {}, el('button', { type: 'button', class: 'quiet', onclick: jump(event.at_ms) }, el('time', {}, duration(event.at_ms)), ` ${WORDS[event.type](event, names)}`))));
    this.#follow();
  }

  /** Participants' own tracks, each to download. */
  #list(tracks) {
    this.trackCard.hidden = tracks.length === 0;
    this.tracks.replaceChildren(...tracks.map(({ file, name, source, codec, offset_us: from, duration_us: long, bytes }) => el(
      'li',
      {},
      el('button', { type: 'button', class: 'quiet', 'aria-label': `Download ${name}, ${source}, from ${duration(from / 1000)}`, onclick: () => this.#download(`tracks/${file}`, file) }, el('time', {}, duration(from / 1000)), ` ${name}: ${source}, ${codec}, ${duration(long / 1000)}, ${size(bytes)}`),
    )));
  }

  /** Marks the chapter that is played. */
  #follow() {
    const now = this.video.currentTime * 1000;
    for (const item of this.chapters.children) {
      const current = Number(item.dataset.from) <= now && now < Number(item.dataset.to);
      if (current) item.setAttribute('aria-current', 'true');
      else item.removeAttribute('aria-current');
    }
  }

  async #download(part, name) {
    const path = `/v1/recordings/${this.#id}/${part}`;
    const link = el('a', { href: path, download: name });
    try {
      // A link sends no credentials.
      if (credentials.get() !== '') link.href = URL.createObjectURL(await (await call('GET', path)).blob());
      link.click();
      if (link.href.startsWith('blob:')) setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      toast(error.message, 'bad');
    }
  }

  async #delete() {
    if (!window.confirm('Delete this recording with all its files?')) return;
    try {
      await call('DELETE', `/v1/recordings/${this.#id}`);
      announce('Deleted');
      location.hash = '#/';
    } catch (error) {
      toast(error.message, 'bad');
    }
  }
}
