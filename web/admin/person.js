/**
 * What is seldom changed of one person: how the microphone is treated, the sidebar, another room.
 *
 * @module
 */

import { el } from '../ui.js';

/** What the room has, or an own choice. */
const TREATMENT = [['', 'as the room has it'], ['true', 'on'], ['false', 'off']];

export class PersonTools {
  /**
   * @param {any} person
   * @param {{change: (changes: object, said: string) => void, transfer: (room: string) => void, sidebar: (name: string) => void}} act
   */
  constructor(person, act) {
    const name = person.name || person.id;
    const treatment = (field, label) => {
      const set = ({ target }) => act.change({ [field]: target.value === '' ? null : target.value === 'true' }, `${name}: ${label} ${target.selectedOptions[0].textContent}`);
      this[field] = el('select', { 'aria-label': `${label} of ${name}`, onchange: set }, ...TREATMENT.map(([value, text]) => el('option', { value }, text)));
      return el('label', {}, `${label} `, this[field]);
    };
    this.sidebar = el('select', { 'aria-label': `Sidebar of ${name}`, onchange: ({ target }) => act.sidebar(target.value) });
    const room = el('input', { 'aria-label': `Room that ${name} goes to`, placeholder: 'room', size: 10, maxLength: 128, autocomplete: 'off', required: true });
    const go = (event) => {
      event.preventDefault();
      act.transfer(room.value.trim());
    };
    const parts = [treatment('noise_suppression', 'Noise suppression'), treatment('auto_gain', 'Automatic gain'), el('label', {}, 'Sidebar ', this.sidebar)];
    const transfer = el('form', { class: 'row', onsubmit: go }, el('label', {}, 'Other room ', room), el('button', { class: 'quiet', 'data-key': `${person.id} send`, 'aria-label': `Send ${name} to the other room` }, 'Send'));
    this.element = el('div', { class: 'row person-tools' }, ...(person.kind === 'viewer' ? [] : parts), transfer);
  }

  /** @param {any} person @param {string[]} sidebars @param {string} sidebar - '': none */
  show(person, sidebars, sidebar) {
    for (const field of ['noise_suppression', 'auto_gain']) this.#set(this[field], String(person[field] ?? ''));
    if (document.activeElement !== this.sidebar) {
      this.sidebar.replaceChildren(el('option', { value: '' }, 'none'), ...sidebars.map((name) => el('option', { value: name }, name)));
    }
    this.#set(this.sidebar, sidebar);
  }

  #set(field, value) {
    if (document.activeElement !== field) field.value = value;
  }
}
