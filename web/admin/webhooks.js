/**
 * Webhooks: where events are posted, and what became of each.
 *
 * @module
 */

import { call, list, read } from '../api.js';
import { redraw } from '../redraw.js';
import { announce, complaints, el, table, toast } from '../ui.js';

const REFRESH_MS = 3000;
const SHOWN = 50;

const when = (at) => (at ? el('time', { dateTime: at }, new Date(at).toLocaleString()) : '');
const STATES = { pending: 'waits', delivered: 'delivered', given_up: 'given up', dropped: 'dropped' };

/** What the last attempt brought. @param {{status: number | null, error: string | null}} delivery */
export function outcome({ status, error }) {
  if (status) return `HTTP ${status}`;
  const words = { address: 'not an address that may be asked', connect: 'no connection', timeout: 'no answer in time', exchange: 'the answer broke off', internal: 'an internal error' };
  return error ? (words[error] ?? error) : '';
}

export class Webhooks {
  #timer = 0;
  #outcome = complaints();
  /** The endpoint whose deliveries are shown. */
  #chosen = null;

  constructor() {
    this.endpoints = el('tbody');
    this.deliveries = el('tbody');
    this.none = el('p', { class: 'empty', hidden: true }, 'No webhook is configured: see [[webhooks.endpoints]] in the configuration.');
    this.table = table(['Id', 'URL', 'Events', 'State', 'Waiting', 'Delivered', 'Given up', 'Dropped', 'Next attempt', ''], this.endpoints, { label: 'Endpoints' });
    this.log = table(['Event', 'Room', 'Happened', 'State', 'Attempts', 'Last attempt', 'Outcome', ''], this.deliveries, { label: 'Deliveries', hidden: true });
    this.element = el('section', {}, el('h1', {}, 'Webhooks'), this.none, el('div', { class: 'scroll' }, this.table), el('div', { class: 'scroll' }, this.log));
    this.refresh();
    this.#timer = setInterval(() => document.hidden || this.refresh(), REFRESH_MS);
  }

  close() {
    clearInterval(this.#timer);
  }

  async refresh() {
    try {
      const all = await list('/v1/webhooks');
      this.none.hidden = all.length > 0;
      this.table.hidden = all.length === 0;
      this.#chosen ??= all[0]?.id ?? null;
      redraw(this.endpoints, all.map((endpoint) => this.endpoint(endpoint)));
      await this.open();
      this.#outcome(null);
    } catch (error) {
      this.#outcome(error);
    }
  }

  endpoint(endpoint) {
    const { id } = endpoint;
    const choose = () => {
      this.#chosen = id;
      this.refresh();
    };
    const state = el('span', { class: endpoint.state === 'ok' ? 'good' : 'bad' }, endpoint.state === 'ok' ? 'ok' : `${endpoint.failures} failures in a row`);
    const events = endpoint.events.join(', ') || 'all but speaker.changed';
    const cells = [id, endpoint.url, events, state, endpoint.pending, endpoint.delivered, endpoint.given_up, endpoint.dropped, when(endpoint.next_attempt_at)];
    const show = el('button', { type: 'button', class: 'quiet', 'data-key': `show ${id}`, 'aria-pressed': String(id === this.#chosen), onclick: choose }, 'Deliveries');
    const test = el('button', { type: 'button', class: 'quiet', 'data-key': `test ${id}`, onclick: () => this.test(id) }, 'Test');
    return el('tr', {}, ...cells.map((cell) => el('td', {}, cell)), el('td', {}, show, test));
  }

  async open() {
    if (this.#chosen === null) return;
    const path = `/v1/webhooks/${encodeURIComponent(this.#chosen)}/deliveries`;
    const { value } = await read(`${path}?limit=${SHOWN}`);
    this.log.hidden = false;
    this.log.caption.textContent = `Deliveries to ${this.#chosen}${value.next_cursor ? `, the last ${SHOWN}` : ''}`;
    redraw(this.deliveries, value.items.map((delivery) => this.delivery(path, delivery)));
  }

  delivery(path, delivery) {
    const state = el('span', { class: { delivered: 'good', pending: '' }[delivery.state] ?? 'bad' }, STATES[delivery.state] ?? delivery.state);
    const cells = [el('code', {}, delivery.type), delivery.room, when(delivery.at), state, delivery.attempts, when(delivery.last_attempt_at), outcome(delivery)];
    const again = async () => {
      await call('POST', `${path}/${encodeURIComponent(delivery.id)}/retry`).catch((error) => toast(error.message, 'bad'));
      announce('Sent again');
      this.refresh();
    };
    const label = `Send ${delivery.type} again`;
    const retry = el('button', { type: 'button', class: 'quiet', 'data-key': delivery.id, 'aria-label': label, onclick: again }, 'Send again');
    return el('tr', {}, ...cells.map((cell) => el('td', {}, cell)), el('td', {}, retry));
  }

  async test(id) {
    try {
      const result = await (await call('POST', `/v1/webhooks/${encodeURIComponent(id)}/test`)).json();
      const text = result.delivered ? `${id} took the test in ${result.duration_ms} ms` : `${id} did not take the test: ${outcome(result)}`;
      toast(text, result.delivered ? 'info' : 'bad');
      await this.refresh();
    } catch (error) {
      toast(error.message, 'bad');
    }
  }
}
