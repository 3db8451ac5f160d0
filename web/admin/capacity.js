/**
 * What a room of some shape costs on this machine.
 *
 * @module
 */

import { call } from '../api.js';
import { el } from '../ui.js';

const SIZES = ['320x180', '640x360', '1280x720', '1920x1080'];
const MEBI = 1024 * 1024;

/** Figures of an estimate for people. @param {any} estimate */
export function rows(estimate) {
  const mega = (bps) => `${(bps / 1e6).toFixed(1)} Mbit/s`;
  return [
    ['Processor', `${Math.round(estimate.cpu_ms_per_s)} ms per second (${(estimate.cpu_ms_per_s / 1000).toFixed(2)} cores)`],
    ['Memory', `${Math.round(estimate.memory_bytes / MEBI)} MiB`],
    ['In', mega(estimate.ingress_bps)],
    ['Out', mega(estimate.egress_bps)],
  ];
}

export class Capacity {
  constructor() {
    const number = (id, label, value, most) => {
      const input = el('input', { id, type: 'number', min: '0', max: String(most), value: String(value), required: true });
      return [el('label', { for: id }, label), input];
    };
    const sizes = SIZES.map((size) => el('option', { value: size, selected: size === '640x360' }, size.replace('x', ' × ')));
    this.result = el('div', { class: 'card', role: 'status', hidden: true });
    this.form = el(
      'form',
      { class: 'card fields', onsubmit: (event) => this.ask(event) },
      ...number('senders', 'People who send', 4, 500),
      el('label', { for: 'sender_size' }, 'Their pictures'),
      el('select', { id: 'sender_size' }, ...sizes),
      ...number('viewers', 'People who watch', 100, 100_000),
      ...number('views', 'Views', 1, 64),
      ...number('renditions', 'Encodes per view', 1, 64),
      el('button', { class: 'primary' }, 'Estimate'),
    );
    this.element = el('section', {}, el('h1', {}, 'Capacity'), el('p', { class: 'soft' }, 'What a room of this shape would take, as measured on this machine.'), this.form, this.result);
  }

  close() {}

  async ask(event) {
    event.preventDefault();
    const body = { sender_size: this.form.querySelector('#sender_size').value };
    for (const id of ['senders', 'viewers', 'views', 'renditions']) body[id] = Number(this.form.querySelector(`#${id}`).value);
    try {
      const estimate = await (await call('POST', '/v1/estimate', { body })).json();
      const list = rows(estimate).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)));
      const verdict = estimate.fits ? 'It fits on this machine.' : 'It does not fit on this machine.';
      this.result.replaceChildren(el('p', { class: estimate.fits ? 'good' : 'bad' }, verdict), el('dl', { class: 'figures' }, ...list));
    } catch (error) {
      this.result.replaceChildren(el('p', { class: 'bad' }, error.message));
    }
    this.result.hidden = false;
  }
}
