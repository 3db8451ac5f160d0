/**
 * The page of recordings: the list, one of them under `#/rec_…`, and signing in.
 *
 * @module
 */

import { call, credentials, isForbidden, takeToken } from './api.js';
import { List } from './recordings/list.js';
import { Player } from './recordings/player.js';
import { SignIn } from './signin.js';
import { announce } from './ui.js';

const main = document.getElementById('main');
const signOut = document.getElementById('sign-out');

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

async function start() {
  try {
    await call('GET', '/v1/recordings?limit=1');
  } catch (error) {
    if (isForbidden(error)) {
      const typed = credentials.get() !== '';
      credentials.set('');
      signOut.hidden = true;
      show(new SignIn({ wanted: 'a token that may record', fault: typed ? error.message : '', done: start }), 'Sign in');
      document.getElementById('key').focus();
      return;
    }
  }
  signOut.hidden = credentials.get() === '';
  open();
}

signOut.addEventListener('click', () => {
  credentials.set('');
  start();
});
addEventListener('hashchange', () => {
  if (!(page instanceof SignIn)) open();
});
takeToken();
start();
