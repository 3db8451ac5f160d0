/**
 * Single-key shortcuts that a person can switch off (WCAG 2.1.4), and push to talk.
 *
 * @module
 */

import { prefs } from './ui.js';

/** Whether the key belongs to the element that has the focus. @param {KeyboardEvent} event */
function taken({ target, key }) {
  if (target.matches?.('input:not([type=checkbox]), textarea, select, [contenteditable]')) return key !== 'Escape';
  return key === ' ' && Boolean(target.matches?.('button, a, summary, input'));
}

/**
 * @param {Record<string, () => any>} actions - by key
 * @param {(held: boolean) => boolean} talk - the space bar; says whether it has opened the microphone
 * @param {() => boolean} active
 */
export function bindKeys(actions, talk, active) {
  const box = document.getElementById('shortcuts-on');
  const dialog = document.getElementById('shortcuts');
  let held = false;
  box.checked = prefs.get('shortcuts', true);
  box.addEventListener('change', () => prefs.set('shortcuts', box.checked));
  addEventListener('keydown', (event) => {
    const { key, ctrlKey, altKey, metaKey, repeat } = event;
    if (ctrlKey || altKey || metaKey || dialog.open || !active() || taken(event)) return;
    if (!box.checked && key !== 'Escape') return;
    if (key === ' ') {
      event.preventDefault();
      if (!repeat) held ||= talk(true);
      return;
    }
    const action = actions[key.length === 1 ? key.toLowerCase() : key];
    if (!action || repeat) return;
    event.preventDefault();
    Promise.resolve(action()).catch(() => {});
  });
  // A microphone that was open before the key went down stays open.
  const release = () => {
    if (held) talk(false);
    held = false;
  };
  addEventListener('keyup', (event) => event.key === ' ' && release());
  addEventListener('blur', release);
}
