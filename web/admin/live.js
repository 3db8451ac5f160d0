/**
 * The composed picture as it is sent: live by WHEP, by stills where no connection comes about.
 *
 * Stills are shown until the first live picture is there, and again whenever the connection is gone. Sound is off until
 * somebody asks for it.
 *
 * @module
 */

import { call, picture, roomPath, roomToken } from '../api.js';
import { watch } from '../mixdown.js';
import { announce, el } from '../ui.js';

const STILL_MS = 400;
const AGAIN_MS = 5000;

export class LivePicture {
  #room;
  #view = null;
  #player = null;
  #timer = 0;
  #stopStills = () => {};
  /** Each opening has a number: answers to an older one are of no use. */
  #turn = 0;

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    this.still = el('img', { alt: 'The composed picture now', width: 1280, height: 720 });
    this.video = el('video', { muted: true, playsInline: true, hidden: true, 'aria-label': 'The composed picture, live' });
    this.state = el('span', { class: 'tag', id: 'live-state' }, 'stills');
    this.turnOn = el('button', { type: 'button', class: 'quiet', 'aria-pressed': 'true', title: 'Off: stills alone, which cost less', onclick: () => this.#toggle() }, 'Live');
    this.sound = el('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', onclick: () => this.#hear(this.video.muted) }, 'Sound');
    this.tools = el('span', { class: 'buttons' }, this.state, this.turnOn, this.sound);
  }

  /** Id of the viewer that this page itself is. @returns {string | null} */
  get id() {
    return this.#player?.id ?? null;
  }

  /** @param {string} view */
  open(view) {
    this.close();
    this.#view = view;
    this.#stopStills = picture(this.still, roomPath(this.#room, 'views', view, 'snapshot.jpg'), STILL_MS);
    if (this.#wanted) this.#connect();
  }

  close() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#stopStills();
    this.#player?.leave();
    this.#player = null;
    this.#show(false);
  }

  get #wanted() {
    return this.turnOn.getAttribute('aria-pressed') === 'true';
  }

  async #connect() {
    const turn = this.#turn;
    const view = this.#view;
    try {
      const token = await roomToken(this.#room, { subscribe: true, admin: true, view: '*' });
      const player = await watch({ room: this.#room, view, name: 'Console', token });
      if (turn !== this.#turn) return player.leave();
      this.#player = player;
      player.addEventListener('picture', () => this.#show(true));
      player.addEventListener('state', ({ detail: { state, error } }) => {
        if (turn !== this.#turn) return;
        if (state === 'connected') return token || this.#enter(player.id);
        this.#show(false);
        if (state === 'closed' && error) this.#later(error);
      });
      await player.attach(this.video);
    } catch (error) {
      if (turn === this.#turn) this.#later(error);
    }
  }

  /** Past the waiting room, for who cannot say who he is: where no token is asked for, whoever holds the console may let in. @param {string} id */
  #enter(id) {
    return call('POST', roomPath(this.#room, 'participants', id, 'admit')).catch((error) => { this.state.title = error.message; });
  }

  /** @param {Error} error */
  #later(error) {
    this.#player = null;
    this.state.title = error.message;
    this.#timer = setTimeout(() => this.#connect(), AGAIN_MS);
  }

  /** Stills are asked for only while they are seen. @param {boolean} live */
  #show(live) {
    this.video.hidden = !live;
    this.still.hidden = live;
    this.state.textContent = live ? 'live' : 'stills';
    this.state.classList.toggle('live-tag', live);
    this.sound.disabled = !live;
    if (live) this.state.title = '';
  }

  #toggle() {
    this.turnOn.setAttribute('aria-pressed', String(!this.#wanted));
    if (this.#view) this.open(this.#view);
    announce(this.#wanted ? 'Live picture' : 'Stills alone');
  }

  /** @param {boolean} on */
  #hear(on) {
    this.video.muted = !on;
    if (on) this.video.play().catch(() => {});
    this.sound.setAttribute('aria-pressed', String(on));
  }
}
