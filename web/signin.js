/**
 * The door of pages that run a server: asks for an API key or a token where the server wants one, and shows what the address asks for.
 *
 * @module
 */

import { call, credentials, isForbidden, takeToken } from './api.js';
import { announce, el } from './ui.js';

/**
 * What is on the page: with `close` it ends what it began. `link`: the address in the navigation that it belongs to.
 *
 * @typedef {{part: {element: Element, close: () => void}, title: string, link?: string}} Shown
 */

/**
 * Opens the page, once the server takes what is typed, and again whenever the address changes.
 *
 * @param {object} page
 * @param {string} page.probe - path that only those may read who may use the page
 * @param {string} page.wanted - what kind of token will do
 * @param {string} page.name - in the title, behind that of the part
 * @param {() => Shown} page.open - what the address asks for
 */
export function enter({ probe, wanted, name, open }) {
  const [main, signOut] = ['main', 'sign-out'].map((id) => document.getElementById(id));
  let shown = null;
  /** @param {Shown} next */
  const show = ({ part, title, link }) => {
    shown?.close();
    shown = part;
    main.replaceChildren(part.element);
    document.title = `${title} · ${name}`;
    for (const each of document.querySelectorAll('#nav a')) {
      if (each.getAttribute('href') === link) each.setAttribute('aria-current', 'page');
      else each.removeAttribute('aria-current');
    }
    announce(title);
  };
  let inside = false;
  const leave = (fault) => {
    inside = false;
    credentials.set('');
    signOut.hidden = true;
    show({ part: new SignIn({ wanted, fault, done: start }), title: 'Sign in' });
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
    return show(open());
  }
  signOut.addEventListener('click', () => {
    credentials.set('');
    start();
  });
  addEventListener('hashchange', () => inside && show(open()));
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
