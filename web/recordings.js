/**
 * The page of recordings: the list, one of them under `#/rec_…`, and signing in.
 *
 * @module
 */

import { List } from './recordings/list.js';
import { Player } from './recordings/player.js';
import { enter } from './signin.js';
import { announce } from './ui.js';

const main = document.getElementById('main');

/** The page that is open: it has `element`, and `close` to end what it began. */
let page = null;

function show(next, title) {
  page?.close();
  page = next;
  main.replaceChildren(page.element);
  document.title = `${title} · Mixdown`;
  announce(title);
}

function open() {
  const [, id] = /^#\/(rec_[0-9a-f]+)$/.exec(location.hash) ?? [];
  if (id) show(new Player(id), 'Recording');
  else show(new List(), 'Recordings');
}

enter({ probe: '/v1/recordings?limit=1', wanted: 'a token that may record', show, open });
