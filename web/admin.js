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

function open() {
  const [name, which] = parts();
  return { part: PAGES[name](which), title: which ?? name[0].toUpperCase() + name.slice(1), link: `/admin#/${name}` };
}

enter({ probe: '/v1/rooms?limit=1', wanted: 'a token that administers all rooms', name: 'Mixdown console', open });
