/**
 * Sidebars: who hears each other alone.
 *
 * @module
 */

import { call, isStale, list, read, roomPath } from '../api.js';
import { redraw } from '../redraw.js';
import { announce, el, toast } from '../ui.js';

export class Sidebars {
  #room;
  #all = [];
  #people = [];
  #timer = 0;

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    this.list = el('ul', { class: 'sidebars' });
    this.name = el('input', { id: 'new-sidebar', placeholder: 'name', maxLength: 64, size: 12, autocomplete: 'off', required: true });
    const form = el('form', { class: 'row', onsubmit: (event) => this.#make(event) }, el('label', { for: 'new-sidebar' }, 'New sidebar'), this.name, el('button', { class: 'quiet' }, 'Make'));
    this.element = el(
      'section',
      { class: 'card', 'aria-labelledby': 'sidebars-title' },
      el('h2', { id: 'sidebars-title' }, 'Sidebars'),
      el('p', { class: 'soft' }, 'Who is in a sidebar hears only the others in it.'),
      this.list,
      form,
    );
  }

  /** @param {any[]} people */
  set people(people) {
    const known = ({ id, name }) => [id, name];
    const changed = JSON.stringify(people.map(known)) !== JSON.stringify(this.#people.map(known));
    this.#people = people;
    if (changed) this.#draw();
  }

  get names() {
    return this.#all.map(({ name }) => name);
  }

  /** Name of the sidebar that somebody is in, or ''. @param {string} id */
  of(id) {
    return this.#all.find(({ participants }) => participants.includes(id))?.name ?? '';
  }

  /** Asks again soon; many events make one request. */
  soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), 100);
  }

  close() {
    clearTimeout(this.#timer);
  }

  async refresh() {
    this.#all = await list(roomPath(this.#room, 'sidebars')).catch(() => this.#all);
    this.#draw();
  }

  /** Takes somebody out of the sidebar they are in, and into another. @param {string} id @param {string} to - '': none */
  async move(id, to) {
    const from = this.of(id);
    if (from && from !== to) await this.#change(from, (sidebar) => ({ ...sidebar, participants: sidebar.participants.filter((each) => each !== id) }));
    if (to && from !== to) await this.#change(to, (sidebar) => ({ ...sidebar, participants: [...sidebar.participants, id] }));
    announce(to ? `In the sidebar ${to}` : 'In no sidebar');
  }

  #path(name) {
    return roomPath(this.#room, 'sidebars', name);
  }

  /** Reads a sidebar, and writes it if nobody was faster. */
  async #change(name, compute) {
    try {
      const { value, etag } = await read(this.#path(name));
      const { name: _, ...settings } = compute(value);
      await call('PUT', this.#path(name), { body: settings, etag });
    } catch (error) {
      toast(isStale(error) ? 'Somebody else has changed the sidebar just now. Look, and try again.' : error.message, 'bad');
    }
    await this.refresh();
  }

  async #make(event) {
    event.preventDefault();
    const name = this.name.value.trim();
    if (this.names.includes(name)) return toast(`There is a sidebar ${name} already.`, 'bad');
    try {
      await call('PUT', this.#path(name), { body: {} });
      this.name.value = '';
      announce(`Sidebar ${name} made`);
    } catch (error) {
      toast(error.message, 'bad');
    }
    return this.refresh();
  }

  async #end(name) {
    await call('DELETE', this.#path(name)).catch((error) => toast(error.message, 'bad'));
    announce(`Sidebar ${name} ended`);
    await this.refresh();
  }

  #draw() {
    // What is being chosen from is not taken away.
    if (this.list.contains(document.activeElement) && document.activeElement.matches('select')) return;
    redraw(this.list, this.#all.map((sidebar) => this.#row(sidebar)));
  }

  #row({ name, participants, heard_by_all: heard }) {
    const nameOf = (id) => this.#people.find((person) => person.id === id)?.name || id;
    const chips = participants.map((id) => el('li', { class: 'chip' }, nameOf(id), el('button', { type: 'button', 'data-key': `${name} ${id}`, 'aria-label': `Take ${nameOf(id)} out of ${name}`, onclick: () => this.move(id, '') }, '×')));
    const others = this.#people.filter(({ id, kind }) => kind !== 'viewer' && !participants.includes(id));
    const who = el('select', { 'aria-label': `Who comes into ${name}` }, ...others.map((person) => el('option', { value: person.id }, person.name || person.id)));
    const add = () => who.value && this.move(who.value, name);
    const all = el('input', { type: 'checkbox', 'data-key': `${name} heard`, checked: heard, onchange: ({ target: { checked } }) => this.#change(name, (sidebar) => ({ ...sidebar, heard_by_all: checked })) });
    return el(
      'li',
      { class: 'sidebar', 'data-name': name },
      el('div', { class: 'row' }, el('strong', {}, name), el('label', {}, all, ' heard by all'), el('button', { type: 'button', class: 'quiet danger', 'data-key': `${name} end`, 'aria-label': `End the sidebar ${name}`, onclick: () => this.#end(name) }, 'End')),
      el('ul', { class: 'chips' }, ...(chips.length > 0 ? chips : [el('li', { class: 'soft' }, 'nobody yet')])),
      el('div', { class: 'row' }, who, el('button', { type: 'button', class: 'quiet', 'data-key': `${name} add`, disabled: others.length === 0, 'aria-label': `Put into ${name}`, onclick: add }, 'Put in')),
    );
  }
}
