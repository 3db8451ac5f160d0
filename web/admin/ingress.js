/**
 * What the server plays into a room: films, streams, pictures, announcements.
 *
 * @module
 */

import { call, list, roomPath } from '../api.js';
import { duration } from '../recordings/format.js';
import { redraw } from '../redraw.js';
import { announce, el, toast } from '../ui.js';

/** How often positions are asked for while something is played and the page is seen. */
const EVERY_MS = 1000;

const STATES = { starting: 'starts', playing: 'plays', paused: 'pauses', reconnecting: 'broke off, is tried again', complete: 'over', failed: 'failed' };

export class Ingress {
  #room;
  #all = [];
  #timer = 0;

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    this.list = el('ul', { class: 'ingress' });
    this.element = el('section', { class: 'card', 'aria-labelledby': 'ingress-title' }, el('h2', { id: 'ingress-title' }, 'Play into the room'), this.list, this.#form());
    this.ticker = setInterval(() => document.hidden || this.#all.length === 0 || this.refresh(), EVERY_MS);
  }

  /** Asks again soon; many events make one request. */
  soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), 100);
  }

  close() {
    clearTimeout(this.#timer);
    clearInterval(this.ticker);
  }

  async refresh() {
    this.#all = await list(roomPath(this.#room, 'ingress')).catch(() => this.#all);
    this.#draw();
  }

  #form() {
    const what = el('input', { id: 'ingress-what', placeholder: 'https://… or a file of the server\'s folder', maxLength: 2048, autocomplete: 'off', required: true });
    const show = el(
      'select',
      { id: 'ingress-show', 'aria-label': 'As what it is shown' },
      ...[['camera', 'as a participant'], ['screen', 'as a screen'], ['announcement', 'as an announcement']].map(([value, text]) => el('option', { value }, text)),
    );
    const loop = el('input', { type: 'checkbox', id: 'ingress-loop' });
    const picture = el('input', { type: 'file', id: 'ingress-picture', accept: 'image/png,image/jpeg,image/webp', hidden: true, onchange: () => this.#hang(picture, show) });
    const play = async (event) => {
      event.preventDefault();
      const text = what.value.trim();
      const source = /^[a-z]+:\/\//i.test(text) ? { url: text } : { file: text };
      // Others are a quarter as loud while an announcement sounds.
      const duck = show.value === 'announcement' ? { duck_db: -12 } : {};
      if (await this.#play({ ...source, show: show.value, loop: loop.checked, ...duck })) what.value = '';
    };
    return el(
      'form',
      { class: 'row', onsubmit: play },
      el('label', { for: 'ingress-what', class: 'visually-hidden' }, 'URL or file'),
      what,
      show,
      el('label', {}, loop, ' loop'),
      el('button', { class: 'button' }, 'Play'),
      picture,
      el('button', { type: 'button', class: 'quiet', onclick: () => picture.click() }, 'Show a picture …'),
    );
  }

  /** Shows a picture of this machine. */
  async #hang(input, show) {
    const [file] = input.files;
    if (!file) return;
    const reader = new FileReader();
    reader.onload = () => this.#play({ picture: reader.result, name: file.name.replace(/\.\w+$/, '').slice(0, 60), show: show.value === 'screen' ? 'screen' : 'camera' });
    reader.readAsDataURL(file);
    input.value = '';
  }

  async #play(body) {
    try {
      await call('POST', roomPath(this.#room, 'ingress'), { body });
      announce('It begins');
      await this.refresh();
      return true;
    } catch (error) {
      toast(error.message, 'bad');
      return false;
    }
  }

  async #change(id, changes, said) {
    await call('PATCH', `/v1/ingress/${id}`, { body: changes }).then(() => announce(said), (error) => toast(error.message, 'bad'));
    await this.refresh();
  }

  async #stop(id) {
    await call('DELETE', `/v1/ingress/${id}`).then(() => announce('Stopped'), (error) => toast(error.message, 'bad'));
    await this.refresh();
  }

  #draw() {
    // A slider that is being moved waits too.
    redraw(this.list, this.#all.map((each) => this.#row(each)));
  }

  #row({ id, name, show, state, reason, picture, position_ms: position, duration_ms: whole, loop, url, file }) {
    const paused = state === 'paused';
    const toggle = () => this.#change(id, { state: paused ? 'playing' : 'paused' }, paused ? 'It plays' : 'It pauses');
    const seek = ({ target: { value } }) => this.#change(id, { position_ms: Number(value) }, `At ${duration(Number(value))}`);
    const slider = el('input', { type: 'range', min: 0, max: whole ?? 0, step: 100, value: position, 'data-key': `${id} seek`, 'aria-label': `Position of ${name}`, 'aria-valuetext': duration(position), onchange: seek });
    return el(
      'li',
      { class: 'ingress-item', 'data-id': id },
      el('div', { class: 'row' }, el('strong', {}, name || url || file || 'picture'), el('span', { class: 'soft' }, [STATES[state], show === 'camera' ? '' : show, loop ? 'loop' : ''].filter(Boolean).join(' · '))),
      reason ? el('p', { class: 'soft' }, reason) : '',
      el(
        'div',
        { class: 'row' },
        picture ? '' : el('button', { type: 'button', class: 'quiet', 'data-key': `${id} toggle`, onclick: toggle }, paused ? 'Play' : 'Pause'),
        whole === null ? '' : slider,
        picture ? '' : el('span', { class: 'soft position' }, whole === null ? duration(position) : `${duration(position)} / ${duration(whole)}`),
        el('button', { type: 'button', class: 'quiet danger', 'data-key': `${id} stop`, 'aria-label': `Stop ${name}`, onclick: () => this.#stop(id) }, 'Stop'),
      ),
    );
  }
}
