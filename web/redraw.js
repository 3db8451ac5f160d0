/**
 * Lists that are drawn anew while somebody uses them.
 *
 * @module
 */

/** Where a pointer is down, and what waits for it to come up. */
let pressed = null;
const waiting = new Map();
addEventListener('pointerdown', ({ target }) => (pressed = target), true);
for (const type of ['pointerup', 'pointercancel']) {
  addEventListener(type, () => setTimeout(() => {
    // After the click that a release makes.
    pressed = null;
    const due = [...waiting];
    waiting.clear();
    due.forEach(([parent, children]) => redraw(parent, children));
  }), true);
}

/**
 * Replaces children; the focus stays on the control with the same `data-key`. While a pointer is down on one of them it waits: what
 * is pressed on one element and released on another is no click.
 *
 * @param {Element} parent @param {Element[]} children
 */
export function redraw(parent, children) {
  if (pressed && parent.contains(pressed)) return void waiting.set(parent, children);
  waiting.delete(parent);
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  parent.replaceChildren(...children);
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}
