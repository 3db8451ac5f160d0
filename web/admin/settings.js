/**
 * Settings of the room that hold for everybody in it. Each takes effect at once.
 *
 * @module
 */

import { el } from '../ui.js';

const SOUND = {
  noise_suppression: 'Noise suppression',
  auto_gain: 'Automatic gain',
  hold_music: 'Hold music for who is alone',
  join_tones: 'Tones when somebody comes or goes',
};

const PLAIN = {
  self_unmute: 'People may unmute themselves after a moderator muted them',
  auto_record: 'Record while somebody is here',
  recording_sign: 'A sign in the picture while it is recorded',
};

export class RoomSettings {
  /** @param {(changes: object) => void} change - a merge-patch for the room */
  constructor(change) {
    const box = (id, label, set) => {
      const input = el('input', { id, type: 'checkbox', onchange: ({ target }) => change(set(target.checked)) });
      return { input, parts: [el('label', { for: id }, label), input] };
    };
    this.sound = Object.entries(SOUND).map(([field, label]) => ({ field, ...box(`room-${field}`, label, (on) => ({ audio: { [field]: on } })) }));
    this.plain = Object.entries(PLAIN).map(([field, label]) => ({ field, ...box(`room-${field}`, label, (on) => ({ [field]: on })) }));
    this.most = el('input', { id: 'room-max', type: 'number', min: '1', max: '10000', onchange: ({ target }) => change({ max_participants: Number(target.value) }) });
    this.element = el(
      'section',
      { class: 'card', 'aria-labelledby': 'room-settings-title' },
      el('h2', { id: 'room-settings-title' }, 'Room'),
      el('div', { class: 'fields' }, ...[...this.sound, ...this.plain].flatMap(({ parts }) => parts), el('label', { for: 'room-max' }, 'People at most'), this.most),
    );
  }

  /** @param {any} room */
  show(room) {
    for (const { field, input } of this.sound) input.checked = room.audio[field];
    for (const { field, input } of this.plain) input.checked = room[field];
    if (document.activeElement !== this.most) this.most.value = String(room.max_participants);
  }
}
