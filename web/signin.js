/**
 * Asks for an API key or a token.
 *
 * @module
 */

import { credentials } from './api.js';
import { el } from './ui.js';

export class SignIn {
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
