/**
 * What lies over the people: texts, a clock, pictures.
 *
 * @module
 */

import { el, toast } from '../ui.js';

/** What each kind needs besides its type. */
const KINDS = {
  text: ['Line', 'text'],
  lower_third: ['Lower third', 'text', 'subtitle'],
  ticker: ['Running line', 'text'],
  clock: ['Clock', 'corner'],
  image: ['Picture', 'image'],
  watermark: ['Watermark', 'image', 'corner'],
  background: ['Background', 'image'],
};
const CORNERS = ['top_right', 'top_left', 'bottom_right', 'bottom_left'];
/** A picture as it travels inside of the layout. @param {Blob} file @returns {Promise<string>} */
export const dataUri = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.addEventListener('load', () => resolve(reader.result));
  reader.addEventListener('error', () => reject(reader.error));
  reader.readAsDataURL(file);
});

/** An overlay in a few words. @param {any} overlay */
export function overlayText(overlay) {
  const [name] = KINDS[overlay.type] ?? [overlay.type];
  const rest = overlay.text ?? overlay.corner?.replace('_', ' ') ?? '';
  return rest ? `${name}: ${rest}` : name;
}

export class Overlays {
  #all = [];

  /** @param {(overlays: any[]) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.list = el('ul', { class: 'overlays' });
    const field = (id, label, props) => {
      const input = el('input', { id: `overlay-${id}`, ...props });
      return { input, label: el('label', { for: `overlay-${id}` }, label) };
    };
    this.kind = el('select', { id: 'overlay-type', onchange: () => this.#fields() }, ...Object.entries(KINDS).map(([value, [text]]) => el('option', { value }, text)));
    this.corner = { input: el('select', { id: 'overlay-corner' }, ...CORNERS.map((value) => el('option', { value }, value.replace('_', ' ')))), label: el('label', { for: 'overlay-corner' }, 'Corner') };
    this.text = field('text', 'Text', { maxLength: 200, autocomplete: 'off' });
    this.subtitle = field('subtitle', 'Below it', { maxLength: 200, autocomplete: 'off' });
    this.image = field('image', 'Picture', { type: 'file', accept: 'image/png,image/jpeg,image/webp' });
    const parts = ['text', 'subtitle', 'image', 'corner'].flatMap((name) => [this[name].label, this[name].input]);
    const add = el('button', { type: 'button', class: 'quiet', onclick: () => this.#add().catch((error) => toast(error.message, 'bad')) }, 'Add');
    this.element = el('details', { class: 'overlay-tools' }, el('summary', {}, 'Over the picture'), this.list, el('div', { class: 'fields' }, el('label', { for: 'overlay-type' }, 'New'), this.kind, ...parts), add);
    this.#fields();
  }

  /** @param {any[] | undefined} overlays - undefined: the server knows none */
  show(overlays) {
    this.element.hidden = overlays === undefined;
    this.#all = overlays ?? [];
    const remove = (index) => this.changed(this.#all.filter((_, at) => at !== index));
    const row = (overlay, index) => el('li', { class: 'row' }, overlayText(overlay), el('button', { type: 'button', class: 'quiet', 'aria-label': `Remove ${overlayText(overlay)}`, onclick: () => remove(index) }, 'Remove'));
    this.list.replaceChildren(...this.#all.map(row));
  }

  #fields() {
    const [, ...wanted] = KINDS[this.kind.value];
    for (const name of ['text', 'subtitle', 'image', 'corner']) this[name].input.hidden = this[name].label.hidden = !wanted.includes(name);
  }

  async #add() {
    const [, ...wanted] = KINDS[this.kind.value];
    const overlay = { type: this.kind.value };
    for (const name of wanted.filter((each) => each !== 'image')) if (this[name].input.value) overlay[name] = this[name].input.value;
    if (wanted.includes('text') && !overlay.text) return this.text.input.focus();
    if (wanted.includes('image')) {
      const [file] = this.image.input.files;
      if (!file) return this.image.input.focus();
      overlay.image = await dataUri(file);
    }
    this.text.input.value = this.subtitle.input.value = '';
    this.changed([...this.#all, overlay]);
  }
}
