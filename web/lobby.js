/**
 * The place before a room: who one is, how one looks and sounds, and the button that joins. Works without devices.
 *
 * @module
 */

import { Meter } from './devices.js';
import { el, fillIcons, hue, initials, prefs, ROOM, setIcon } from './ui.js';

const FIRST = ['amber', 'brisk', 'calm', 'clever', 'gentle', 'lucky', 'merry', 'quiet', 'silver', 'sunny'];
const SECOND = ['brook', 'comet', 'fjord', 'grove', 'harbour', 'lagoon', 'meadow', 'orchard', 'river', 'summit'];

/** A room name that is easy to say. */
export function suggestion() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  return `${pick(FIRST)}-${pick(SECOND)}-${10 + Math.floor(Math.random() * 90)}`;
}

export class Lobby {
  #devices;
  #join;
  #meter;
  #opening = 0;
  #wanted = { camera: prefs.get('camera-on', true), microphone: prefs.get('microphone-on', true) };

  /**
   * @param {HTMLElement} root - is filled
   * @param {object} options
   * @param {string} options.room
   * @param {boolean} options.askRoom - whether the room can be changed here
   * @param {import('./devices.js').Devices} options.devices
   * @param {(entry: {room: string, name: string}) => void} options.join
   */
  constructor(root, { room, askRoom, devices, join }) {
    this.#devices = devices;
    this.#join = join;
    this.#meter = new Meter((level) => this.#level(level));
    this.#build(root, room, askRoom);
    this.update = () => this.#update();
    devices.addEventListener('change', this.update);
    this.#update();
    this.#open();
  }

  /** What the person wants to send. */
  get wanted() {
    return this.#wanted;
  }

  /** Shows why joining failed. @param {string} text */
  fail(text) {
    this.error.textContent = text;
    this.button.disabled = false;
    this.button.querySelector('span').textContent = 'Try again';
  }

  /** Says that the server has too much to do, and is asked again. */
  wait(seconds) {
    this.error.textContent = `The server is busy. Trying again in ${Math.ceil(seconds)} s…`;
  }

  close() {
    this.#devices.removeEventListener('change', this.update);
    this.#meter.close();
    this.video.srcObject = null;
  }

  #build(root, room, askRoom) {
    this.video = el('video', { muted: true, autoplay: true, playsInline: true, class: 'mirror', tabIndex: -1, 'aria-hidden': 'true' });
    this.avatar = el('div', { class: 'avatar', 'aria-hidden': 'true' });
    this.bar = el('span', {});
    this.mic = this.#toggle('microphone');
    this.cam = this.#toggle('camera');
    this.hint = el('p', { class: 'hint', role: 'status' });
    this.cameras = this.#select('videoinput', 'camera', 'Camera');
    this.microphones = this.#select('audioinput', 'microphone', 'Microphone');
    const preview = el(
      'div',
      { class: 'preview' },
      el(
        'div',
        { class: 'mirror-card' },
        this.avatar,
        this.video,
        el('div', { class: 'meter', 'aria-hidden': 'true' }, this.bar),
        el('div', { class: 'preview-buttons' }, this.mic, this.cam),
      ),
      el('div', { class: 'selects' }, this.cameras.label, this.microphones.label),
      this.hint,
    );
    root.replaceChildren(el('div', { class: 'lobby' }, preview, this.#form(room, askRoom)));
    fillIcons(root);
  }

  #form(room, askRoom) {
    this.name = el('input', { id: 'name', name: 'name', autocomplete: 'nickname', maxLength: 64, placeholder: 'Guest', value: prefs.get('name', '') });
    this.name.addEventListener('input', () => this.#update());
    this.room = el('input', { id: 'room', name: 'room', autocomplete: 'off', spellcheck: false, maxLength: 128, value: room, placeholder: 'team-standup' });
    this.error = el('p', { class: 'error', role: 'alert' });
    this.button = el('button', { class: 'primary', type: 'submit', id: 'join' }, el('span', {}, 'Join'));
    const title = askRoom ? el('h1', {}, 'Meet in one picture.') : el('h1', {}, 'Ready to join ', el('em', {}, room), '?');
    const sub = askRoom
      ? 'Everybody in one video and one sound. Light for every device, nothing to install.'
      : 'Check how you look and sound. You can change everything later.';
    return el(
      'form',
      { class: 'entry', noValidate: true, onsubmit: (event) => this.#submit(event) },
      title,
      el('p', { class: 'sub' }, sub),
      askRoom && el('div', { class: 'field' }, el('label', { for: 'room' }, 'Room'), this.room),
      el('div', { class: 'field' }, el('label', { for: 'name' }, 'Your name'), this.name),
      this.error,
      this.button,
    );
  }

  #toggle(source) {
    const button = el('button', { type: 'button', class: 'round', id: `preview-${source}` });
    button.addEventListener('click', () => {
      this.#wanted[source] = !this.#devices[source];
      prefs.set(`${source}-on`, this.#wanted[source]);
      if (this.#wanted[source]) this.#open();
      else this.#devices.close(source);
    });
    return button;
  }

  #select(kind, source, text) {
    const select = el('select', { id: `select-${source}` });
    select.addEventListener('change', () => this.#devices.choose(source, select.value));
    return { kind, source, select, label: el('label', { class: 'field small' }, el('span', {}, text), select) };
  }

  async #open() {
    this.#opening += 1;
    this.#update();
    await this.#devices.open(this.#wanted);
    this.#opening -= 1;
    this.#update();
    for (const source of ['camera', 'microphone']) {
      if (!this.#wanted[source] && this.#devices[source]) this.#devices.close(source);
    }
  }

  #level(level) {
    this.bar.style.transform = `scaleX(${level.toFixed(3)})`;
  }

  #update() {
    const { camera, microphone } = this.#devices;
    if ((this.video.srcObject?.getVideoTracks()[0] ?? null) !== camera) {
      this.video.srcObject = camera ? new MediaStream([camera]) : null;
    }
    if (this.metered !== microphone) this.#meter.follow(microphone);
    this.metered = microphone;
    this.video.hidden = !camera;
    this.bar.parentElement.hidden = !microphone;
    const name = this.name?.value || 'Guest';
    this.avatar.textContent = initials(name);
    this.avatar.className = `avatar ${hue(name)}`;
    this.hint.textContent = this.#devices.problem;
    for (const [button, source, label] of [[this.mic, 'microphone', 'Microphone'], [this.cam, 'camera', 'Camera']]) {
      const on = Boolean(this.#devices[source]) || (this.#opening > 0 && this.#wanted[source]);
      setIcon(button, source === 'camera' ? (on ? 'camera' : 'camera-off') : on ? 'mic' : 'mic-off');
      button.setAttribute('aria-label', label);
      button.setAttribute('aria-pressed', String(on));
      button.classList.toggle('off', !on);
    }
    this.#fill(this.cameras);
    this.#fill(this.microphones);
  }

  #fill({ kind, source, select, label }) {
    const choices = this.#devices.choices(kind);
    label.hidden = choices.length === 0;
    const current = this.#devices[source]?.getSettings().deviceId ?? prefs.get(source, '');
    select.replaceChildren(
      ...choices.map((device, index) =>
        el('option', { value: device.deviceId, selected: device.deviceId === current }, device.label || `${label.textContent} ${index + 1}`),
      ),
    );
  }

  #submit(event) {
    event.preventDefault();
    const room = this.room.value.trim();
    const name = this.name.value.trim();
    if (!ROOM.test(room)) {
      this.error.textContent = 'A room name has letters, digits, dots, dashes and underscores, and begins with a letter or a digit.';
      this.room.setAttribute('aria-invalid', 'true');
      this.room.focus();
      return;
    }
    this.error.textContent = '';
    prefs.set('name', name);
    this.button.disabled = true;
    this.button.querySelector('span').textContent = 'Joining…';
    this.#join({ room, name: name || 'Guest' });
  }
}
