/**
 * One room: the live composite with its layout, the people, what happens.
 *
 * @module
 */

import { call, credentials, isStale, list, read, roomPath, roomToken } from '../api.js';
import { announce, el, toast } from '../ui.js';
import { EventLog } from './events.js';
import { Ingress } from './ingress.js';
import { LayoutPane } from './layout.js';
import { LivePicture } from './live.js';
import { People } from './people.js';
import { Removed } from './removed.js';
import { RoomSettings } from './settings.js';
import { Sidebars } from './sidebars.js';
import { ViewPane } from './view.js';

export class RoomPage {
  #room;
  #state = null;
  #view = 'main';

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    this.live = new LivePicture(room);
    this.stage = el('div', { class: 'stage-frame' }, this.live.still, this.live.video);
    this.layout = new LayoutPane(room, this.stage);
    this.view = new ViewPane(room);
    this.sidebars = new Sidebars(room);
    this.ingress = new Ingress(room);
    this.removed = new Removed(room);
    this.people = new People(room, {
      sidebars: this.sidebars,
      isOwn: (id) => id === this.live.id,
      seen: (people) => { this.view.people = this.sidebars.people = people; },
    });
    this.general = new RoomSettings((changes) => this.#change(changes));
    this.log = new EventLog(roomPath(room, 'events'), { heard: (event) => this.#heard(event) });
    const setting = (field, text) => el('button', { type: 'button', class: 'quiet', 'aria-pressed': 'false', hidden: true, onclick: () => this.#change({ [field]: !this.#state.value[field] }) }, text);
    this.settings = { locked: setting('locked', 'Lock'), waiting_room: setting('waiting_room', 'Waiting room') };
    this.views = el('select', { id: 'view-choice', onchange: () => this.#open(this.views.value) });
    this.removeView = el('button', { type: 'button', class: 'quiet danger', onclick: () => this.#deleteView() }, 'Delete view');
    const link = (href, text, grants) => el('a', { href, target: '_blank', rel: 'noopener', onclick: (event) => this.#visit(event, grants) }, text);
    const name = encodeURIComponent(room);
    this.element = el(
      'section',
      { class: 'room-page' },
      el(
        'div',
        { class: 'row head' },
        el('h1', {}, room),
        ...Object.values(this.settings),
        link(`/r/${name}`, 'Join', { join: true, subscribe: true, admin: true, publish: ['audio', 'video', 'data'] }),
        link(`/watch/${name}`, 'Watch', { subscribe: true }),
        el('button', { type: 'button', class: 'quiet danger', onclick: () => this.#end() }, 'End the room'),
      ),
      el('div', { class: 'columns' }, el('div', {}, this.#viewTools(), this.stage, this.#messages(), this.people.element, this.removed.element, this.sidebars.element, this.ingress.element, this.#events()), el('div', {}, this.layout.element, this.view.element, this.general.element)),
    );
    this.#begin();
  }

  close() {
    this.live.close();
    this.log.close();
    this.people.close();
    this.sidebars.close();
    this.ingress.close();
    this.removed.close();
  }

  async #begin() {
    try {
      await this.#refresh();
      await this.#open('main');
      await Promise.all([this.sidebars.refresh(), this.ingress.refresh(), this.removed.refresh()]);
    } catch (error) {
      this.live.close();
      this.element.replaceChildren(el('h1', {}, this.#room), el('p', { class: 'empty' }, error.message), el('a', { href: '#/rooms' }, 'All rooms'));
    }
  }

  async #refresh() {
    this.#state = await read(roomPath(this.#room));
    for (const [field, button] of Object.entries(this.settings)) {
      button.hidden = !Object.hasOwn(this.#state.value, field);
      button.setAttribute('aria-pressed', String(this.#state.value[field]));
    }
    this.general.show(this.#state.value);
    await this.#listViews();
  }

  async #listViews() {
    const views = await list(roomPath(this.#room, 'views'));
    const names = views.map(({ name }) => name);
    this.people.views = this.view.views = names;
    if (document.activeElement !== this.views) this.views.replaceChildren(...names.map((name) => el('option', { selected: name === this.#view }, name)));
    const shown = views.find(({ name }) => name === this.#view);
    if (shown) this.stage.style.aspectRatio = `${shown.canvas.width} / ${shown.canvas.height}`;
    else await this.#open('main');
  }

  async #open(view) {
    this.#view = view;
    this.views.value = view;
    this.removeView.hidden = view === 'main';
    this.live.open(view);
    await Promise.all([this.layout.open(view), this.view.open(view)]);
    announce(`View ${view}`);
  }

  #heard({ type, data }) {
    if (/^(participant|track|speaker)\./.test(type)) this.people.soon();
    if (type === 'participant.left') this.removed.soon();
    if (type.startsWith('room.') || type.startsWith('view.')) this.#refresh().catch(() => {});
    if (type.startsWith('view.') && data.view === this.#view) for (const pane of [this.layout, this.view]) pane.reload().catch(() => {});
    if (type.startsWith('sidebar.')) this.sidebars.soon();
    if (type.startsWith('ingress.')) this.ingress.soon();
  }

  /** Pages take a token in their address, no API key. */
  async #visit(event, grants) {
    if (!credentials.get()) return;
    event.preventDefault();
    // Opened at once: what is opened later, browsers take for advertising.
    const page = open('about:blank');
    try {
      const token = await roomToken(this.#room, grants);
      page.opener = null;
      page.location = `${event.target.href}#token=${token}`;
    } catch (error) {
      page?.close();
      toast(error.message, 'bad');
    }
  }

  /** Changes settings of the room. @param {object} changes */
  async #change(changes) {
    const before = this.#state.value;
    try {
      await this.#write(changes);
    } catch (error) {
      if (!isStale(error)) toast(error.message, 'bad');
      else await this.#again(changes, before).catch((refusal) => toast(refusal.message, 'bad'));
    }
    await this.#refresh().catch(() => {});
  }

  #write(changes) {
    return call('PATCH', roomPath(this.#room), { body: changes, etag: this.#state.etag });
  }

  /** Whatever changes a room changes its ETag: only what is about to be written is a conflict. */
  async #again(changes, before) {
    this.#state = await read(roomPath(this.#room));
    const same = (field) => JSON.stringify(this.#state.value[field]) === JSON.stringify(before[field]);
    if (Object.keys(changes).every(same)) return this.#write(changes);
    toast('Somebody else has changed the room just now. Look, and try again.', 'bad');
  }

  async #end() {
    if (!confirm(`End ${this.#room}? Everybody in it is disconnected.`)) return;
    try {
      await call('DELETE', roomPath(this.#room));
      location.hash = '#/rooms';
    } catch (error) {
      toast(error.message, 'bad');
    }
  }

  #viewTools() {
    const name = el('input', { id: 'new-view', placeholder: 'new view', autocomplete: 'off', maxLength: 64, size: 12, required: true });
    const size = el('select', { 'aria-label': 'Size of the new view' }, ...['1280 × 720', '1920 × 1080', '640 × 360', '720 × 1280'].map((text) => el('option', {}, text)));
    const make = async (event) => {
      event.preventDefault();
      const [width, height] = size.value.split(' × ').map(Number);
      try {
        await call('PUT', roomPath(this.#room, 'views', name.value), { body: { canvas: { width, height, fps: 30, background: '#101014' } } });
        const made = name.value;
        name.value = '';
        await this.#listViews();
        await this.#open(made);
      } catch (error) {
        toast(error.message, 'bad');
      }
    };
    const form = el('form', { class: 'row', onsubmit: make }, el('label', { for: 'new-view', class: 'visually-hidden' }, 'Name of a new view'), name, size, el('button', { class: 'quiet' }, 'Make'));
    return el('div', { class: 'row' }, el('label', { for: 'view-choice' }, 'View'), this.views, this.removeView, this.live.tools, form);
  }

  async #deleteView() {
    if (!confirm(`Delete the view ${this.#view}? Who watches it sees main instead.`)) return;
    try {
      await call('DELETE', roomPath(this.#room, 'views', this.#view));
      await this.#open('main');
      await this.#listViews();
    } catch (error) {
      toast(error.message, 'bad');
    }
  }

  #messages() {
    const text = el('input', { id: 'say', placeholder: 'Message to everybody in the room', maxLength: 2000, autocomplete: 'off', required: true });
    const where = el('select', { 'aria-label': 'Where it is shown' }, el('option', { value: 'chat' }, 'in the chat'), el('option', { value: 'banner' }, 'over the picture'));
    const say = async (event) => {
      event.preventDefault();
      try {
        const body = where.value === 'banner' ? { type: 'banner', text: text.value, view: this.#view } : { text: text.value, from: 'Operator' };
        await call('POST', roomPath(this.#room, 'messages'), { body });
        text.value = '';
        announce('Sent');
      } catch (error) {
        toast(error.message, 'bad');
      }
    };
    return el('form', { class: 'row say', onsubmit: say }, el('label', { for: 'say', class: 'visually-hidden' }, 'Message to everybody in the room'), text, where, el('button', { class: 'button' }, 'Send'));
  }

  #events() {
    return el('section', { class: 'card', 'aria-labelledby': 'events-title' }, el('h2', { id: 'events-title' }, 'Events ', this.log.state), this.log.element);
  }
}
