/**
 * One region in numbers and words: for exact places, and for those who do not drag.
 *
 * @module
 */

import { el, toast } from '../ui.js';
import { dataUri } from './overlays.js';
import { box, placed, seatOf, seatParts } from './regions.js';

const SEATS = [
  ['any', 'whoever is left'],
  ['active_speaker', 'who speaks'],
  ['previous_speaker', 'who spoke before'],
  ['screen', 'a shared screen'],
  ['pinned', 'who is pinned'],
  ['participant', 'one person (id or identity)'],
  ['role', 'a role'],
  ['image', 'a picture'],
];
/** Seats that are for something with a name, and what that is called. */
const NAMED = { participant: 'Whose', role: 'Whose', image: 'Name of a stored one' };

export class RegionForm {
  #region = null;

  /** @param {(before: any, region: any) => void} changed - the region that was shown, and what it is now */
  constructor(changed) {
    this.changed = changed;
    const tell = () => this.#tell().catch((error) => toast(error.message, 'bad'));
    const field = (id, label, props) => {
      const input = el('input', { id: `region-${id}`, onchange: tell, ...props });
      this[id] = input;
      return [el('label', { for: `region-${id}` }, label), input];
    };
    const percent = { type: 'number', min: '0', max: '100', step: 'any' };
    this.seat = el('select', { id: 'region-seat', onchange: tell }, ...SEATS.map(([value, text]) => el('option', { value }, text)));
    this.fit = el('select', { id: 'region-fit', onchange: tell }, ...['', 'auto', 'cover', 'contain'].map((value) => el('option', { value }, value || 'as the layout')));
    const who = field('who', 'Whose', { autocomplete: 'off' });
    this.whoLabel = who[0];
    const picture = field('picture', 'Picture', { type: 'file', accept: 'image/png,image/jpeg,image/webp' });
    this.pictureLabel = picture[0];
    this.element = el(
      'fieldset',
      { class: 'fields region-form', hidden: true },
      el('legend', {}, 'Region'),
      ...field('id', 'Name', { maxLength: 64, autocomplete: 'off' }),
      el('label', { for: 'region-seat' }, 'Seat'),
      this.seat,
      ...picture,
      ...who,
      ...field('tiles', 'People in it', { type: 'number', min: '1', max: '49' }),
      ...field('x', 'Left %', percent),
      ...field('y', 'Top %', percent),
      ...field('width', 'Width %', percent),
      ...field('height', 'Height %', percent),
      ...field('z', 'Over others', { type: 'number', min: '-100', max: '100' }),
      el('label', { for: 'region-fit' }, 'Fit'),
      this.fit,
      ...field('min_fps', 'Pictures per second at least', { type: 'number', min: '0', max: '60' }),
    );
  }

  /** @param {any} region - undefined: none */
  show(region) {
    this.#region = region ?? null;
    this.element.hidden = !region;
    if (!region) return;
    const at = box(region);
    for (const key of ['x', 'y', 'width', 'height']) this[key].value = String(Number((at[key] * 100).toFixed(3)));
    const [kind, text] = seatParts(region.seat);
    this.seat.value = kind;
    this.who.value = text.startsWith('data:') ? '' : text;
    this.#named();
    this.id.value = region.id ?? '';
    this.z.value = String(region.z ?? 0);
    this.tiles.value = String(region.tiles ?? 1);
    this.min_fps.value = String(region.min_fps ?? 0);
    this.fit.value = region.fit ?? '';
  }

  #named() {
    const kind = this.seat.value;
    this.who.hidden = this.whoLabel.hidden = !NAMED[kind];
    this.whoLabel.textContent = NAMED[kind] ?? '';
    this.picture.hidden = this.pictureLabel.hidden = kind !== 'image';
  }

  /** What was chosen; `null`: a name is still to be typed, or a file to be picked. */
  async #chosen() {
    const [kind, name] = [this.seat.value, this.who.value.trim()];
    const [file] = kind === 'image' ? this.picture.files : [];
    if (file) {
      this.picture.value = '';
      return { image: await dataUri(file) };
    }
    if (!NAMED[kind] || name !== '') return seatOf(kind, name);
    const [before] = seatParts(this.#region.seat);
    if (kind === 'image' && before === 'image') return this.#region.seat;
    (kind === 'image' ? this.picture : this.who).focus();
    return null;
  }

  async #tell() {
    this.#named();
    // While a file is read another region may come to be shown.
    const [before, region] = [this.#region, this.#typed()];
    const seat = await this.#chosen();
    if (seat) this.changed(before, { ...region, seat });
  }

  /** What the fields say, but for the seat. */
  #typed() {
    const was = box(this.#region);
    const to = {};
    for (const key of ['x', 'y', 'width', 'height']) {
      const typed = Number(this[key].value) / 100;
      // What was not touched keeps its exact share.
      to[key] = Math.abs(typed - was[key]) < 1e-5 ? was[key] : typed;
    }
    const { id: _, fit: __, ...rest } = this.#region;
    const region = { ...rest, z: Number(this.z.value), tiles: Number(this.tiles.value), min_fps: Number(this.min_fps.value) };
    if (this.id.value) region.id = this.id.value;
    if (this.fit.value) region.fit = this.fit.value;
    return placed(region, to);
  }
}
