/**
 * Lists of whom a filter means: people, roles, kinds, identities.
 *
 * @module
 */

import { announce, el } from '../ui.js';

const KINDS = [['participant', 'everybody who joined'], ['publisher', 'everybody who only sends (WHIP)'], ['viewer', 'everybody who only watches (WHEP)']];
/** Choices whose word is typed. */
const TYPED = { role: 'A role…', identity: 'An identity…' };

/** An entry in words. @param {any} selector @param {{id: string, name: string}[]} people */
export function selectorText(selector, people) {
  const id = typeof selector === 'string' ? selector : selector.participant;
  if (id) return people.find((person) => person.id === id)?.name || id;
  const [[kind, value]] = Object.entries(selector);
  if (kind === 'kind') return KINDS.find(([name]) => name === value)?.[1] ?? value;
  return `${kind} ${value}`;
}

/** What a choice stands for; null: something is still to be typed. @param {string} choice @param {string} typed */
export function selectorOf(choice, typed) {
  const [kind, ...rest] = choice.split(':');
  const value = rest.join(':') || typed.trim();
  if (!value) return null;
  return kind === 'participant' ? value : { [kind]: value };
}

/** A select of everybody who can be meant, with a field for what is typed. */
export class Choice {
  #shown = '';
  #touched = false;

  /** @param {string} id @param {string} label */
  constructor(id, label) {
    this.select = el('select', { id, 'aria-label': label, onchange: () => this.#chose() });
    this.text = el('input', { 'aria-label': `${label}: its name`, maxLength: 256, size: 10, autocomplete: 'off', hidden: true });
    this.people([]);
  }

  /** @param {any[]} people */
  people(people) {
    const roles = [...new Set(people.map(({ role }) => role).filter(Boolean))].sort();
    const shown = JSON.stringify([people.map(({ id, name }) => [id, name]), roles]);
    // A list that is being chosen from is not changed.
    if (shown === this.#shown || document.activeElement === this.select) return;
    this.#shown = shown;
    const option = (value, text) => el('option', { value }, text);
    const group = (label, options) => options.length > 0 && el('optgroup', { label }, ...options);
    const before = this.select.value;
    this.select.replaceChildren(
      ...[
        group('People', people.map(({ id, name }) => option(`participant:${id}`, name || id))),
        group('Roles', [...roles.map((role) => option(`role:${role}`, role)), option('role', TYPED.role)]),
        group('Kinds', KINDS.map(([kind, text]) => option(`kind:${kind}`, text))),
        group('Tokens', [option('identity', TYPED.identity)]),
      ].filter(Boolean),
    );
    if (this.#touched && [...this.select.options].some(({ value }) => value === before)) this.select.value = before;
    this.#typed();
  }

  /** What is chosen; null after the focus went where something is missing. */
  take() {
    const selector = selectorOf(this.select.value, this.text.value);
    if (selector === null) this.text.focus();
    else this.text.value = '';
    return selector;
  }

  #chose() {
    this.#touched = true;
    this.#typed();
  }

  #typed() {
    this.text.hidden = !Object.hasOwn(TYPED, this.select.value);
  }
}

export class Selectors {
  #all = [];
  #people = [];

  /**
   * @param {string} id - of the form's fields
   * @param {string} label
   * @param {string} none - what an empty list means
   * @param {(all: any[]) => void} changed
   */
  constructor(id, label, none, changed) {
    this.id = id;
    this.label = label;
    this.none = none;
    this.changed = changed;
    this.list = el('ul', { class: 'chips' });
    this.choice = new Choice(id, label);
    const add = () => {
      const selector = this.choice.take();
      if (selector) this.#tell([...this.#all, selector], `${label}: ${selectorText(selector, this.#people)}`);
    };
    this.element = el('fieldset', { class: 'selectors' }, el('legend', {}, label), this.list, el('div', { class: 'row' }, this.choice.select, this.choice.text, el('button', { type: 'button', class: 'quiet', 'aria-label': `Add to: ${label}`, onclick: add }, 'Add')));
  }

  /** @param {any[]} all */
  show(all) {
    this.#all = all;
    this.#draw();
  }

  /** @param {any[]} people */
  people(people) {
    this.#people = people;
    this.choice.people(people);
    this.#draw();
  }

  #draw() {
    const remove = (index) => this.#tell(this.#all.filter((_, at) => at !== index), `${this.label}: removed`);
    const focused = this.list.contains(document.activeElement) ? [...this.list.querySelectorAll('button')].indexOf(document.activeElement) : -1;
    const chips = this.#all.map((selector, index) => {
      const text = selectorText(selector, this.#people);
      return el('li', { class: 'chip' }, text, el('button', { type: 'button', 'aria-label': `${this.label}: remove ${text}`, onclick: () => remove(index) }, '×'));
    });
    this.list.replaceChildren(...(chips.length > 0 ? chips : [el('li', { class: 'soft' }, this.none)]));
    if (focused < 0) return;
    const buttons = this.list.querySelectorAll('button');
    (buttons[Math.min(focused, buttons.length - 1)] ?? this.choice.select).focus();
  }

  #tell(all, said) {
    this.changed(all);
    announce(said);
  }
}
