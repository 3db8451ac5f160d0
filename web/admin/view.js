/**
 * One view besides its layout: who may be seen in it and heard in it, how loud, and its canvas.
 *
 * Everything is a draft until it is applied. Somebody else's change in between is told and never overwritten unseen.
 *
 * @module
 */

import { call, isStale, read, roomPath } from '../api.js';
import { announce, el, toast } from '../ui.js';
import { warningText } from './regions.js';
import { Choice, Selectors, selectorText } from './selectors.js';

/** What of a view is edited here. @param {any} view */
function settings({ canvas, audio, include, exclude, self, alternatives }) {
  return { canvas, audio, include, exclude, self, alternatives };
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class ViewPane {
  #room;
  #view = 'main';
  #views = ['main'];
  #people = [];
  #etag = null;
  #applied = null;
  /** What the draft was made from: what was in force with that ETag. */
  #base = null;
  #draft = null;

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    const picture = (changes) => this.edit(changes);
    const sound = (changes) => this.edit({ audio: { ...this.#draft.audio, ...changes } });
    this.lists = {
      include: new Selectors('view-include', 'Shown', 'everybody', (include) => picture({ include })),
      exclude: new Selectors('view-exclude', 'Not shown', 'nobody', (exclude) => picture({ exclude })),
      heard: new Selectors('view-heard', 'Heard', 'everybody', (include) => sound({ include })),
      unheard: new Selectors('view-unheard', 'Not heard', 'nobody', (exclude) => sound({ exclude })),
    };
    this.own = el('input', { id: 'view-self', type: 'checkbox', onchange: ({ target }) => picture({ self: target.checked ? 'exclude' : 'shared' }) });
    this.stereo = el('input', { id: 'view-stereo', type: 'checkbox', onchange: ({ target }) => sound({ stereo: target.checked }) });
    this.gain = el('input', { id: 'view-gain', type: 'number', min: '-60', max: '12', step: '1', onchange: ({ target }) => sound({ gain_db: Number(target.value) }) });
    this.gains = this.#gainTools(sound);
    this.alternatives = el('div', { class: 'row' });
    this.apply = el('button', { type: 'button', class: 'primary', onclick: () => this.save() }, 'Apply');
    this.discard = el('button', { type: 'button', class: 'quiet', onclick: () => this.reload(true) }, 'Discard');
    this.element = el(
      'section',
      { class: 'card view-pane', 'aria-labelledby': 'view-title' },
      el('h2', { id: 'view-title' }, 'Who is seen and heard'),
      this.lists.include.element,
      this.lists.exclude.element,
      el('div', { class: 'fields' }, el('label', { for: 'view-self' }, 'Everybody without themselves'), this.own),
      this.lists.heard.element,
      this.lists.unheard.element,
      el('div', { class: 'fields' }, el('label', { for: 'view-gain' }, 'Loudness of the mix (dB)'), this.gain, el('label', { for: 'view-stereo' }, 'Voices from where the tiles are'), this.stereo),
      this.gains,
      this.#canvasTools(),
      el('div', { class: 'row' }, this.apply, this.discard),
    );
  }

  get isDraft() {
    return !same(this.#draft, this.#applied);
  }

  /** @param {string} view */
  async open(view) {
    this.#view = view;
    await this.reload(true);
  }

  /** Takes over what is in force; a draft stays unless `force`. @param {boolean} [force] */
  async reload(force = false) {
    const { value, etag } = await read(this.#path());
    const now = settings(value);
    const kept = this.#draft && this.isDraft && !force;
    // What changed is the layout alone: that is no conflict.
    if (!kept || same(now, this.#base)) this.#etag = etag;
    this.#applied = now;
    if (!kept) this.#base = this.#draft = now;
    this.#show();
  }

  /** Changes the draft. @param {object} changes */
  edit(changes) {
    this.#draft = { ...this.#draft, ...changes };
    this.#show();
  }

  /** Puts the draft into force. */
  async save() {
    try {
      await this.#write();
      announce('View changed');
    } catch (error) {
      if (!isStale(error)) return toast(error.message, 'bad');
      const { value, etag } = await read(this.#path());
      const now = settings(value);
      const unchanged = same(now, this.#base);
      [this.#applied, this.#base, this.#etag] = [now, now, etag];
      if (unchanged) return this.save();
      toast('Somebody else has changed this view. Apply again to replace that, or discard to keep theirs.', 'bad');
      this.#show();
    }
  }

  /** @param {any[]} people */
  set people(people) {
    this.#people = people;
    for (const each of [...Object.values(this.lists), this.gainOf]) each.people(people);
  }

  /** @param {string[]} names */
  set views(names) {
    this.#views = names;
    if (this.#draft) this.#showAlternatives();
  }

  /** What is edited meanwhile stays a draft. */
  async #write() {
    const sent = this.#draft;
    const response = await call('PATCH', this.#path(), { body: sent, etag: this.#etag });
    const { warnings = [], ...now } = await response.json();
    this.#etag = response.headers.get('ETag');
    this.#applied = this.#base = settings(now);
    if (this.#draft === sent) this.#draft = this.#applied;
    this.#show();
    for (const warning of warnings) toast(warningText(warning), 'bad');
  }

  #path() {
    return roomPath(this.#room, 'views', this.#view);
  }

  #show() {
    const { audio, canvas, include, exclude, self } = this.#draft;
    this.lists.include.show(include);
    this.lists.exclude.show(exclude);
    this.lists.heard.show(audio.include);
    this.lists.unheard.show(audio.exclude);
    this.own.checked = self === 'exclude';
    this.stereo.checked = audio.stereo;
    this.gain.value = String(audio.gain_db);
    for (const [key, field] of Object.entries(this.canvas)) field.value = String(canvas[key]);
    this.#showGains();
    this.#showAlternatives();
    this.apply.disabled = this.discard.disabled = !this.isDraft;
    this.apply.textContent = this.isDraft ? 'Apply' : 'In force';
  }

  #gainTools(sound) {
    this.gainOf = new Choice('view-gain-of', 'How loud some are');
    this.gainDb = el('input', { type: 'number', min: '-60', max: '12', value: '-6', 'aria-label': 'Decibels', size: 4 });
    this.gainList = el('ul', { class: 'chips' });
    this.setGains = (gains, said) => {
      sound({ gains });
      announce(said);
    };
    const add = () => {
      const who = this.gainOf.take();
      if (who) this.setGains([...this.#draft.audio.gains, { who, gain_db: Number(this.gainDb.value) }], 'Added');
    };
    return el('fieldset', { class: 'selectors' }, el('legend', {}, 'Louder or quieter here'), this.gainList, el('div', { class: 'row' }, this.gainOf.select, this.gainOf.text, this.gainDb, 'dB', el('button', { type: 'button', class: 'quiet', 'aria-label': 'Add to: louder or quieter here', onclick: add }, 'Add')));
  }

  #showGains() {
    const { gains } = this.#draft.audio;
    const chip = ({ who, gain_db: db }, index) => {
      const text = `${selectorText(who, this.#people)}: ${db} dB`;
      const remove = () => this.setGains(gains.filter((_, at) => at !== index), 'Removed');
      return el('li', { class: 'chip' }, text, el('button', { type: 'button', 'aria-label': `Remove ${text}`, onclick: remove }, '×'));
    };
    this.gainList.replaceChildren(...gains.map(chip));
  }

  #canvasTools() {
    const change = (key, read) => ({ target }) => this.edit({ canvas: { ...this.#draft.canvas, [key]: read(target.value) } });
    const number = (key, min, max, step) => el('input', { id: `canvas-${key}`, type: 'number', min: String(min), max: String(max), step: String(step), onchange: change(key, Number) });
    this.canvas = {
      width: number('width', 64, 3840, 2),
      height: number('height', 64, 3840, 2),
      fps: number('fps', 1, 60, 1),
      background: el('input', { id: 'canvas-background', type: 'color', onchange: change('background', String) }),
    };
    const labels = { width: 'Width', height: 'Height', fps: 'Pictures per second', background: 'Background' };
    const fields = Object.entries(labels).flatMap(([key, label]) => [el('label', { for: `canvas-${key}` }, label), this.canvas[key]]);
    this.alternativesRow = el('fieldset', { class: 'selectors', hidden: true }, el('legend', {}, 'Instead, where it suits the screen better'), this.alternatives);
    return el('details', {}, el('summary', {}, 'Canvas'), el('div', { class: 'fields' }, ...fields), this.alternativesRow);
  }

  #showAlternatives() {
    const { alternatives } = this.#draft;
    const others = this.#views.filter((name) => name !== this.#view);
    this.alternativesRow.hidden = others.length === 0;
    if (this.alternatives.contains(document.activeElement)) return;
    const box = (name) => {
      const change = ({ target }) => this.edit({ alternatives: target.checked ? [...this.#draft.alternatives, name] : this.#draft.alternatives.filter((each) => each !== name) });
      return el('label', {}, el('input', { type: 'checkbox', checked: alternatives.includes(name), onchange: change }), ` ${name}`);
    };
    this.alternatives.replaceChildren(...others.map(box));
  }
}
