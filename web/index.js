/**
 * The join page: room, name, preview. `/?room=demo` fills the room in.
 *
 * @module
 */

import { Devices } from './devices.js';
import { Lobby, suggestion } from './lobby.js';
import { el, ROOM } from './ui.js';

const asked = new URLSearchParams(location.search).get('room') ?? '';
const room = ROOM.test(asked) ? asked : suggestion();

new Lobby(document.getElementById('lobby'), {
  room,
  askRoom: true,
  devices: new Devices(),
  join({ room: chosen }) {
    // The room page joins at once when it finds this note.
    try {
      sessionStorage.setItem('mixdown.enter', chosen);
    } catch {
      // Without storage the room page asks once more.
    }
    location.assign(`/r/${encodeURIComponent(chosen)}${location.hash}`);
  },
});

/** Rooms that run, where the server lets anybody list them. */
async function list() {
  const response = await fetch('/v1/rooms?limit=12', { headers: { Accept: 'application/json' } });
  if (!response.ok) return;
  const { items = [] } = await response.json();
  const section = document.getElementById('rooms');
  section.querySelector('ul').replaceChildren(
    ...items.map((item) => {
      const count = item.participants ?? 0;
      return el(
        'li',
        {},
        el(
          'a',
          { href: `/r/${encodeURIComponent(item.room)}`, class: 'chip' },
          el('strong', {}, item.room),
          el('span', {}, count === 1 ? '1 person' : `${count} people`),
        ),
      );
    }),
  );
  section.hidden = items.length === 0;
}

list().catch(() => {});
