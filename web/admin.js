/**
 * The console: which page the address asks for, and signing in.
 *
 * @module
 */

import { Capacity } from './admin/capacity.js';
import { Egress } from './admin/egress.js';
import { Events } from './admin/events.js';
import { RoomPage } from './admin/room.js';
import { Rooms } from './admin/rooms.js';
import { Webhooks } from './admin/webhooks.js';
import { enter } from './signin.js';
import { announce } from './ui.js';

const main = document.getElementById('main');

/** The page that is open: it has `element`, and `close` to end what it began. */
let page = null;

/** Pages by the first part of the address behind `#/`. */
const PAGES = {
  rooms: (name) => (name ? new RoomPage(name) : new Rooms()),
  events: () => new Events(),
  egress: () => new Egress(),
  webhooks: () => new Webhooks(),
  capacity: () => new Capacity(),
};

function parts() {
  const [name = 'rooms', ...rest] = location.hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
  return Object.hasOwn(PAGES, name) ? [name, rest[0]] : ['rooms'];
}

function show(next, title) {
  page?.close();
  page = next;
  main.replaceChildren(page.element);
  document.title = `${title} · Mixdown console`;
  announce(title);
}

function open() {
  const [name, which] = parts();
  for (const link of document.querySelectorAll('#nav a')) {
    if (link.getAttribute('href') === `#/${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  show(PAGES[name](which), which ?? name[0].toUpperCase() + name.slice(1));
}

enter({ probe: '/v1/rooms?limit=1', wanted: 'a token that administers all rooms', show, open });
