/**
 * The page of recordings: the list, one of them under `#/rec_…`, and signing in.
 *
 * @module
 */

import { List } from './recordings/list.js';
import { Player } from './recordings/player.js';
import { enter } from './signin.js';

function open() {
  const [, id] = /^#\/(rec_[0-9a-f]+)$/.exec(location.hash) ?? [];
  const [part, title] = id ? [new Player(id), 'Recording'] : [new List(), 'Recordings'];
  return { part, title, link: '/recordings' };
}

enter({ probe: '/v1/recordings?limit=1', wanted: 'a token that may record', name: 'Mixdown', open });
