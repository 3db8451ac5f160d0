/**
 * The people of a room, and what a moderator may do with each.
 *
 * @module
 */

import { call, list, roomPath } from '../api.js';
import { redraw } from '../redraw.js';
import { announce, el, table, toast } from '../ui.js';
import { PersonTools } from './person.js';

/** How often levels are asked for while the page is seen. */
const LEVELS_MS = 1000;
/** What a meter shows at its left end, dBov. */
const QUIET_DBOV = -60;

const STATES = { connecting: 'connecting', connected: 'here', reconnecting: 'silent', disconnected: 'gone', waiting: 'waits' };

const HEADS = ['Name', 'State', 'Sends', 'Loudness', 'Role', 'View', ''];

export class People {
  #room;
  #views = ['main'];
  #timer = 0;

  /** Whose seldom used tools are open, by id. @type {Map<string, PersonTools>} */
  #open = new Map();

  /**
   * @param {string} room
   * @param {{sidebars: import('./sidebars.js').Sidebars, isOwn: (id: string) => boolean, seen: (people: any[]) => void}} around
   *   `isOwn`: this page's own connection, which is not shown
   */
  constructor(room, { sidebars, isOwn, seen }) {
    this.#room = room;
    this.sidebars = sidebars;
    this.isOwn = isOwn;
    this.seen = seen;
    this.rows = el('tbody');
    this.none = el('p', { class: 'empty' }, 'Nobody is here.');
    this.table = table(HEADS, this.rows, { class: 'people-table' });
    this.element = el('section', { class: 'card people-card', 'aria-labelledby': 'people-title' }, el('h2', { id: 'people-title' }, 'People'), this.none, el('div', { class: 'scroll' }, this.table));
    this.refresh();
    this.levels = setInterval(() => document.hidden || this.refresh(), LEVELS_MS);
  }

  /** Names of the views that people may be given. @param {string[]} names */
  set views(names) {
    this.#views = names;
  }

  /** Asks again soon; many events make one request. */
  soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), 150);
  }

  close() {
    clearTimeout(this.#timer);
    clearInterval(this.levels);
  }

  async refresh() {
    try {
      const everybody = await list(roomPath(this.#room, 'participants'));
      const people = everybody.filter(({ id }) => !this.isOwn(id));
      this.seen(people);
      this.none.hidden = people.length > 0;
      this.table.hidden = people.length === 0;
      // A name or role that is being typed is not taken away.
      if (this.rows.contains(document.activeElement) && document.activeElement.matches('input, select')) return;
      redraw(this.rows, people.flatMap((person) => this.#rows(person)));
    } catch (error) {
      if (error.status !== 404) toast(error.message, 'bad');
    }
  }

  async #change(person, changes, said) {
    try {
      await call('PATCH', roomPath(this.#room, 'participants', person.id), { body: changes });
      announce(said);
    } catch (error) {
      toast(error.message, 'bad');
    }
    await this.refresh();
  }

  async #admit(person) {
    await call('POST', roomPath(this.#room, 'participants', person.id, 'admit')).catch((error) => toast(error.message, 'bad'));
    announce(`${person.name} is let in`);
    await this.refresh();
  }

  async #deny(person) {
    await call('POST', roomPath(this.#room, 'participants', person.id, 'deny')).catch((error) => toast(error.message, 'bad'));
    announce(`${person.name} was turned away`);
    await this.refresh();
  }

  async #remove(person) {
    if (!confirm(`Remove ${person.name || person.id} from the room?`)) return;
    await call('DELETE', roomPath(this.#room, 'participants', person.id)).catch((error) => toast(error.message, 'bad'));
    announce(`${person.name} was removed`);
    await this.refresh();
  }

  /** Somebody's row, and below it the tools that were opened. */
  #rows(person) {
    const tools = this.#open.get(person.id);
    if (!tools) return [this.#row(person)];
    tools.show(person, this.sidebars.names, this.sidebars.of(person.id));
    return [this.#row(person), tools.row];
  }

  #more(person) {
    if (!this.#open.delete(person.id)) {
      const tools = new PersonTools(person, {
        change: (changes, said) => this.#change(person, changes, said),
        transfer: (room) => this.#transfer(person, room),
        sidebar: (name) => this.sidebars.move(person.id, name),
      });
      tools.row = el('tr', { class: 'more', 'data-of': person.id }, el('td', { colSpan: HEADS.length }, tools.element));
      this.#open.set(person.id, tools);
    }
    return this.refresh();
  }

  async #transfer(person, room) {
    try {
      await call('POST', roomPath(this.#room, 'participants', person.id, 'transfer'), { body: { room } });
      toast(`${person.name} is asked to go to ${room}`);
    } catch (error) {
      toast(error.message, 'bad');
    }
  }

  #row(person) {
    const name = person.name || person.id;
    const key = (what) => ({ 'data-key': `${person.id} ${what}` });
    const toggle = (what, on, field, text) => el('button', { type: 'button', class: 'quiet', ...key(what), 'aria-pressed': String(on), 'aria-label': `${text} ${name}`, onclick: () => this.#change(person, { [field]: !on }, `${name}: ${text}`) }, text);
    const role = el('input', { ...key('role'), 'aria-label': `Role of ${name}`, value: person.role ?? '', size: 10, maxLength: 64, onchange: ({ target }) => this.#assign(person, target) });
    const shown = person.feed?.view ?? 'main';
    const views = this.#views.includes(shown) ? this.#views : [shown, ...this.#views];
    const view = el('select', { ...key('view'), 'aria-label': `View of ${name}`, onchange: ({ target }) => this.#give(person, target) }, ...views.map((each) => el('option', { selected: each === shown }, each)));
    const who = el('span', {}, el('strong', {}, name), person.speaking && el('span', { class: 'tag live-tag' }, 'speaks'), this.#level(person, name));
    const signs = (person.tracks ?? []).map(({ source }) => source.replace('-', ' ')).join(', ');
    const door = [
      el('button', { type: 'button', class: 'button', ...key('admit'), 'aria-label': `Let ${name} in`, onclick: () => this.#admit(person) }, 'Let in'),
      el('button', { type: 'button', class: 'quiet danger', ...key('deny'), 'aria-label': `Turn ${name} away`, onclick: () => this.#deny(person) }, 'Turn away'),
    ];
    const buttons = person.state === 'waiting' ? door : [
      toggle('mute', person.muted_audio, 'muted_audio', 'Mute'),
      toggle('camera', person.muted_video, 'muted_video', 'Hide'),
      toggle('pin', person.pinned, 'pinned', 'Pin'),
      el('button', { type: 'button', class: 'quiet', ...key('more'), 'aria-expanded': String(this.#open.has(person.id)), 'aria-label': `More for ${name}`, onclick: () => this.#more(person) }, 'More'),
      el('button', { type: 'button', class: 'quiet danger', ...key('remove'), 'aria-label': `Remove ${name}`, onclick: () => this.#remove(person) }, 'Remove'),
    ];
    const cells = [who, STATES[person.state] ?? person.state, signs || person.kind, this.#gain(person, name), role, view, el('span', { class: 'buttons' }, ...buttons)];
    return el('tr', { 'data-id': person.id }, ...cells.map((cell, column) => el('td', { 'data-head': HEADS[column] }, cell)));
  }

  /** How loud somebody's microphone is now. */
  #level({ level_dbov: level }, name) {
    if (level === null || level === undefined) return null;
    return el('meter', { class: 'level', min: QUIET_DBOV, max: 0, high: -6, value: Math.max(level, QUIET_DBOV), title: `${level} dBov`, 'aria-label': `Level of ${name}` });
  }

  /** How loud somebody is heard; a double click makes it as it came. */
  #gain(person, name) {
    const gain = person.gain_db ?? 0;
    const set = (db, field) => {
      field.blur();
      return this.#change(person, { gain_db: db }, `${name}: ${db} dB`);
    };
    const label = `Loudness of ${name} in decibels`;
    return el('input', {
      type: 'range', min: -30, max: 12, step: 1, value: gain, title: `${gain} dB`, 'data-key': `${person.id} gain`, 'aria-label': label,
      onchange: ({ target }) => set(Number(target.value), target), ondblclick: ({ target }) => set(0, target),
    });
  }

  #assign(person, field) {
    const role = field.value.trim();
    field.blur();
    return this.#change(person, { role: role || null }, `${person.name}: role ${role || 'none'}`);
  }

  #give(person, field) {
    field.blur();
    return this.#change(person, { view: field.value }, `${person.name} sees ${field.value}`);
  }
}
