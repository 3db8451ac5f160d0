/**
 * The layout of one view: presets, regions over the live picture, what it would cost, saved layouts, undo.
 *
 * Everything is a draft until it is applied. Somebody else's change in between is told and never overwritten unseen.
 *
 * @module
 */

import { call, isStale, list, read, roomPath } from '../api.js';
import { announce, el, toast } from '../ui.js';
import { Editor } from './editor.js';
import { Overlays } from './overlays.js';
import { RegionForm } from './region.js';
import { box, TEMPLATES, warningText } from './regions.js';

const TYPES = [
  ['auto', 'Automatic'],
  ['grid', 'Grid'],
  ['speaker', 'Speaker'],
  ['presentation', 'Presentation'],
  ['side_by_side', 'Side by side'],
  ['pip', 'Picture in picture'],
  ['single', 'One alone'],
  ['custom', 'Own regions'],
];
/** Which types the fields are for, without a list: for all; others refuse them. `usual`: what a type begins with that has them. */
const FIELDS = [
  { key: 'fit', label: 'Pictures', options: [['auto', 'fit by themselves'], ['cover', 'fill their tile'], ['contain', 'show everything']] },
  { key: 'order', label: 'Order', options: [['joined', 'as they came'], ['name', 'by name'], ['activity', 'who spoke last']], usual: 'joined', not: ['single'] },
  { key: 'strip', label: 'Small tiles', options: [['bottom', 'below'], ['top', 'above'], ['left', 'left'], ['right', 'right']], usual: 'bottom', only: ['auto', 'speaker', 'presentation'] },
  { key: 'corner', label: 'Corner', options: [['bottom_right', 'bottom right'], ['bottom_left', 'bottom left'], ['top_right', 'top right'], ['top_left', 'top left']], usual: 'bottom_right', only: ['pip'] },
  { key: 'max_tiles', label: 'Tiles at most', number: [1, 49], usual: 25, not: ['custom', 'single', 'pip', 'side_by_side'] },
  { key: 'gap', label: 'Gap in pixels', number: [0, 200], usual: 4, not: ['pip', 'single'] },
  { key: 'labels', label: 'Names in the picture', check: true },
  { key: 'empty', label: 'Said while nobody is seen' },
];
const works = ({ only, not }, type) => (!only || only.includes(type)) && !not?.includes(type);
const PREVIEW_MS = 350;
const HISTORY = 50;

export class LayoutPane {
  #room;
  #view = 'main';
  #etag = null;
  /** What is in force, and what is shown. */
  #applied = {};
  /** What the draft was made from: what was in force with that ETag. */
  #base = {};
  #draft = {};
  #undo = [];
  #redo = [];
  /** What was chosen for types that were left. */
  #chosen = {};
  #timer = 0;
  #index = -1;

  /** @param {string} room @param {HTMLElement} stage - the frame of the live picture */
  constructor(room, stage) {
    this.#room = room;
    this.editor = new Editor({ changed: (regions) => this.edit({ regions }), selected: (index) => this.#select(index) });
    this.planned = el('div', { class: 'planned', 'aria-hidden': 'true' });
    stage.append(this.planned, this.editor.element);
    this.region = new RegionForm((before, region) => this.#replace(before, region));
    this.type = el('select', { id: 'layout-type', onchange: () => this.#turn(this.type.value) }, ...TYPES.map(([value, text]) => el('option', { value }, text)));
    this.fields = el('div', { class: 'fields' });
    this.custom = this.#customTools();
    this.overlays = new Overlays((overlays) => this.edit({ overlays }));
    this.verdict = el('div', { class: 'verdict', role: 'status' });
    this.apply = el('button', { type: 'button', class: 'primary', onclick: () => this.save() }, 'Apply');
    this.undo = el('button', { type: 'button', class: 'quiet', onclick: () => this.#step(this.#undo, this.#redo), title: 'Undo (Ctrl+Z)' }, 'Undo');
    this.redo = el('button', { type: 'button', class: 'quiet', onclick: () => this.#step(this.#redo, this.#undo), title: 'Redo (Ctrl+Shift+Z)' }, 'Redo');
    this.saved = el('select', { id: 'saved-layout' });
    this.element = el(
      'section',
      { class: 'card layout-pane', 'aria-labelledby': 'layout-title' },
      el('h2', { id: 'layout-title' }, 'Layout'),
      el('div', { class: 'fields' }, el('label', { for: 'layout-type' }, 'Kind'), this.type),
      this.fields,
      this.custom,
      this.overlays.element,
      this.verdict,
      el('div', { class: 'row' }, this.apply, this.undo, this.redo),
      this.#savedTools(),
    );
    for (const area of [this.element, stage]) area.addEventListener('keydown', (event) => this.#shortcut(event));
  }

  /** Shows a view of the room. @param {string} view */
  async open(view) {
    this.#view = view;
    this.#undo = [];
    this.#redo = [];
    await this.reload(true);
    await this.#listSaved().catch(() => {});
  }

  get isDraft() {
    return JSON.stringify(this.#draft) !== JSON.stringify(this.#applied);
  }

  /** Takes over what is in force; a draft stays unless `force`. @param {boolean} [force] */
  async reload(force = false) {
    const { value, etag } = await read(this.#path());
    const kept = this.isDraft && !force;
    // What changed is something else of the view: that is no conflict.
    if (kept && JSON.stringify(value) === JSON.stringify(this.#base)) this.#etag = etag;
    this.#applied = value;
    if (kept) return;
    this.#etag = etag;
    this.#base = this.#draft = value;
    this.#show();
  }

  /** Changes the draft. @param {object} changes @param {boolean} [whole] - nothing of the draft before is left */
  edit(changes, whole = false) {
    this.#undo.push(this.#draft);
    this.#redo = [];
    if (this.#undo.length > HISTORY) this.#undo.shift();
    this.#draft = whole ? changes : { ...this.#draft, ...changes };
    this.#show();
  }

  /** Puts the draft into force. What is edited meanwhile stays a draft. */
  async save() {
    const sent = this.#draft;
    try {
      const response = await call('PUT', this.#path(), { body: sent, etag: this.#etag });
      const { warnings = [], ...applied } = await response.json();
      this.#etag = response.headers.get('ETag');
      this.#applied = this.#base = applied;
      if (this.#draft === sent) this.#draft = applied;
      this.#show();
      for (const warning of warnings) toast(warningText(warning), 'bad');
      announce('Layout applied');
    } catch (error) {
      if (!isStale(error)) return toast(error.message, 'bad');
      const { value, etag } = await read(this.#path());
      const same = JSON.stringify(value) === JSON.stringify(this.#base);
      [this.#applied, this.#base, this.#etag] = [value, value, etag];
      if (same) return this.save();
      toast('Somebody else has changed this layout. Apply again to replace it, or undo to keep theirs.', 'bad');
      this.#undo.push(value);
      this.#show();
    }
  }

  #path(...rest) {
    return roomPath(this.#room, 'views', this.#view, 'layout', ...rest);
  }

  #regions() {
    return this.#draft.regions ?? [];
  }

  #replace(before, region) {
    const regions = this.#regions();
    if (!regions.includes(before)) return toast('This region was changed meanwhile. Choose its picture again.', 'bad');
    this.edit({ regions: regions.map((old) => (old === before ? region : old)) });
  }

  #turn(type) {
    const first = type === 'custom' && this.#regions().length === 0 && (this.#draft.groups ?? []).length === 0;
    // Regions belong to custom layouts alone: others refuse them. Undo brings them back.
    const regions = first ? { regions: Object.values(TEMPLATES)[0] } : type !== 'custom' && { regions: [], groups: [] };
    Object.assign(this.#chosen, this.#draft);
    const draft = { ...this.#draft, type, ...regions };
    for (const field of FIELDS.filter(({ usual }) => usual !== undefined)) {
      if (!works(field, type)) delete draft[field.key];
      else draft[field.key] ??= this.#chosen[field.key] ?? field.usual;
    }
    this.edit(draft, true);
  }

  #select(index) {
    this.#index = index;
    this.region.show(this.#regions()[index]);
  }

  #step(from, to) {
    const layout = from.pop();
    if (!layout) return;
    to.push(this.#draft);
    this.#draft = layout;
    this.#show();
  }

  #shortcut(event) {
    if (!(event.ctrlKey || event.metaKey) || event.target.matches('input')) return;
    if (event.key.toLowerCase() === 'z') {
      event.preventDefault();
      if (event.shiftKey) this.#step(this.#redo, this.#undo);
      else this.#step(this.#undo, this.#redo);
    } else if (event.key === 'Enter') {
      this.save();
    }
  }

  #show() {
    const custom = this.#draft.type === 'custom';
    this.type.value = this.#draft.type;
    this.#showFields();
    this.custom.hidden = !custom;
    const groups = this.#draft.groups?.length ?? 0;
    this.grouped.hidden = groups === 0;
    this.grouped.textContent = `${groups} groups of regions, chosen by the number of people. Regions that are added here take their place.`;
    this.overlays.show(this.#draft.overlays);
    this.editor.element.hidden = !custom;
    const regions = custom ? this.#regions() : [];
    if (this.#index >= regions.length) this.#index = regions.length - 1;
    this.editor.show(regions, this.#index);
    this.region.show(regions[this.#index]);
    this.apply.disabled = !this.isDraft;
    this.apply.textContent = this.isDraft ? 'Apply' : 'In force';
    this.undo.disabled = this.#undo.length === 0;
    this.redo.disabled = this.#redo.length === 0;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#preview().catch(() => this.verdict.replaceChildren()), PREVIEW_MS);
  }

  #showFields() {
    const { type } = this.#draft;
    const shown = FIELDS.filter((field) => Object.hasOwn(this.#draft, field.key) && works(field, type));
    const focused = this.fields.contains(document.activeElement) ? document.activeElement.id : null;
    this.fields.replaceChildren(...shown.flatMap((field) => this.#field(field)));
    const { border } = this.#draft.active_speaker ?? {};
    if (border !== undefined) {
      const change = ({ target }) => this.edit({ active_speaker: { ...this.#draft.active_speaker, border: target.checked } });
      this.fields.append(el('label', { for: 'field-border' }, 'Mark who speaks'), el('input', { id: 'field-border', type: 'checkbox', checked: border, onchange: change }));
    }
    const { ms } = this.#draft.transition ?? {};
    if (ms !== undefined) {
      const change = ({ target }) => this.edit({ transition: { ...this.#draft.transition, ms: Number(target.value) } });
      this.fields.append(el('label', { for: 'field-transition' }, 'Changes take (ms)'), el('input', { id: 'field-transition', type: 'number', min: '0', max: '5000', step: '50', value: String(ms), onchange: change }));
    }
    if (focused) document.getElementById(focused)?.focus();
  }

  #field({ key, label, options, number, check }) {
    const id = `field-${key}`;
    const value = this.#draft[key];
    const change = ({ target }) => this.edit({ [key]: check ? target.checked : number ? Number(target.value) : target.value });
    if (check) return [el('label', { for: id }, label), el('input', { id, type: 'checkbox', checked: value, onchange: change })];
    if (number) {
      const [min, max] = number.map(String);
      return [el('label', { for: id }, label), el('input', { id, type: 'number', min, max, value: String(value), onchange: change })];
    }
    if (!options) return [el('label', { for: id }, label), el('input', { id, value, maxLength: 200, autocomplete: 'off', onchange: change })];
    const select = el('select', { id, onchange: change }, ...options.map(([option, text]) => el('option', { value: option }, text)));
    select.value = value;
    return [el('label', { for: id }, label), select];
  }

  #customTools() {
    const add = () => {
      const at = { x: '1/3', y: '1/3', width: '1/3', height: '1/3', z: 1, seat: 'any' };
      this.#index = this.#regions().length;
      this.edit({ regions: [...this.#regions(), at], groups: [] });
      this.editor.element.lastElementChild?.focus();
    };
    const names = ['Begin with…', ...Object.keys(TEMPLATES)];
    const begin = ({ target }) => {
      if (Object.hasOwn(TEMPLATES, target.value)) this.edit({ regions: TEMPLATES[target.value], groups: [] });
      target.value = names[0];
    };
    const template = el('select', { 'aria-label': 'Begin with a template', onchange: begin }, ...names.map((name) => el('option', {}, name)));
    this.grouped = el('p', { class: 'soft', hidden: true });
    return el('div', { class: 'custom-tools', hidden: true }, this.grouped, el('div', { class: 'row' }, el('button', { type: 'button', class: 'quiet', onclick: add }, 'Add a region'), template), this.region.element);
  }

  #savedTools() {
    const name = el('input', { id: 'save-as', placeholder: 'name', autocomplete: 'off', maxLength: 64 });
    const attempt = (action) => () => action().catch((error) => toast(error.message, 'bad'));
    const path = (which) => `/v1/layouts/${encodeURIComponent(which)}`;
    const take = attempt(async () => {
      const { value } = await read(path(this.saved.value));
      this.edit(value.layout ?? value, true);
      announce(`${this.saved.value} is the draft`);
    });
    const keep = attempt(async () => {
      if (!name.value) return;
      await call('PUT', path(name.value), { body: this.#draft });
      toast(`Saved as ${name.value}`);
      name.value = '';
      await this.#listSaved();
    });
    const remove = attempt(async () => {
      await call('DELETE', path(this.saved.value));
      toast(`${this.saved.value} is no longer saved`);
      await this.#listSaved();
    });
    const button = (text, onclick) => el('button', { type: 'button', class: 'quiet', onclick }, text);
    this.savedRow = el('div', { class: 'row', hidden: true }, el('label', { for: 'saved-layout' }, 'Saved'), this.saved, button('Take', take), button('Remove', remove));
    return el('div', {}, this.savedRow, el('div', { class: 'row' }, el('label', { for: 'save-as' }, 'Save as'), name, button('Save', keep)));
  }

  async #listSaved() {
    const all = await list('/v1/layouts');
    const names = all.map((item) => item.name ?? item);
    this.saved.replaceChildren(...names.map((name) => el('option', {}, name)));
    this.savedRow.hidden = names.length === 0;
  }

  /** Asks what the draft would show and cost, and draws it over the picture. */
  async #preview() {
    if (!this.isDraft) {
      this.planned.replaceChildren();
      this.verdict.replaceChildren();
      return;
    }
    const response = await call('POST', this.#path('preview'), { body: this.#draft });
    const result = await response.json();
    const warnings = result.warnings.map((warning) => el('li', {}, warningText(warning)));
    const cost = costText(result.cost);
    this.verdict.replaceChildren(el('p', { class: 'soft' }, cost), el('ul', { class: 'warnings' }, ...warnings));
    const tiles = this.#draft.type === 'custom' ? [] : result.regions;
    this.planned.replaceChildren(...tiles.map((tile) => planned(tile)));
  }
}

/** What a layout costs, in a line. @param {any} cost */
export function costText(cost) {
  if (!cost || typeof cost !== 'object') return '';
  const { cpu_ms_per_s: cpu } = cost;
  return typeof cpu === 'number' ? `Composing and encoding it takes about ${cpu.toFixed(0)} ms of processor time per second.` : '';
}

function planned(tile) {
  const element = el('div', { class: 'planned-tile' }, tile.name ?? tile.id ?? '');
  const { x, y, width, height } = box(tile);
  Object.assign(element.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
  return element;
}
