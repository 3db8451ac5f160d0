/**
 * The door of pages that run a server: asks for an API key or a token where the server wants one.
 *
 * @module
 */

import { call, credentials, isForbidden, takeToken } from './api.js';
import { el } from './ui.js';

/**
 * Opens the page, once the server takes what is typed, and again whenever the address changes.
 *
 * @param {object} page
 * @param {string} page.probe - path that only those may read who may use the page
 * @param {string} page.wanted - what kind of token will do
 * @param {(part: {element: Element, close: () => void}, title: string) => void} page.show
 * @param {() => void} page.open - what the address asks for
 */
export function enter({ probe, wanted, show, open }) {
  const signOut = document.getElementById('sign-out');
  let inside = false;
  const leave = (fault) => {
    inside = false;
    credentials.set('');
    signOut.hidden = true;
    show(new SignIn({ wanted, fault, done: start }), 'Sign in');
    document.getElementById('key').focus();
  };
  async function start() {
    try {
      await call('GET', probe);
    } catch (error) {
      // Other faults are the page's to tell.
      if (isForbidden(error)) return leave(credentials.get() === '' ? '' : error.message);
    }
    inside = true;
    signOut.hidden = credentials.get() === '';
    return open();
  }
  signOut.addEventListener('click', () => {
    credentials.set('');
    start();
  });
  addEventListener('hashchange', () => inside && open());
  takeToken();
  start();
}

class SignIn {
  /**
   * @param {object} options
   * @param {string} options.wanted - what kind of token will do
   * @param {string} [options.fault] - why it is asked for again
   * @param {() => void} options.done - something was typed; it is in `credentials`
   */
  constructor({ wanted, fault = '', done }) {
    this.field = el('input', { id: 'key', type: 'password', autocomplete: 'current-password', required: true, spellcheck: false });
    this.element = el(
      'form',
      {
        class: 'card sign-in',
        onsubmit: (event) => {
          event.preventDefault();
          credentials.set(this.field.value.trim());
          done();
        },
      },
      el('h1', {}, 'Sign in'),
      el('label', { for: 'key' }, `API key (id:secret), or ${wanted}`),
      this.field,
      el('p', { class: 'error', role: 'alert' }, fault),
      el('button', { class: 'primary' }, 'Sign in'),
      el('p', { class: 'hint' }, 'It is kept for this tab alone.'),
    );
  }

  close() {}
}
