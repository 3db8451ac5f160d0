/**
 * Regions over the picture: drag and resize them, by pointer or by keys.
 *
 * Arrow keys move the region that has the focus, with Shift they resize it; Delete removes it. Alt while dragging:
 * no snapping.
 *
 * @module
 */

import { announce, el } from '../ui.js';
import { box, moved, placed, resized, seatText, snapped, spoken } from './regions.js';

const EDGES = ['n', 'e', 's', 'w', 'ne', 'se', 'sw', 'nw'];
/** Pixels within which edges snap. */
const REACH = 8;
/** A key moves by a line of the grid of 48. */
const STEP = 1 / 48;
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export class Editor {
  #regions = [];
  #selected = -1;
  #drag = null;

  /**
   * @param {{changed: (regions: any[]) => void, selected: (index: number) => void}} tell - `changed`: after each move that is done
   */
  constructor({ changed, selected }) {
    this.changed = changed;
    this.selected = selected;
    this.element = el('div', { class: 'regions', role: 'group', 'aria-label': 'Regions. Arrow keys move, with Shift they resize, Delete removes.' });
    this.element.addEventListener('pointerdown', (event) => this.#grab(event));
    this.element.addEventListener('pointermove', (event) => this.#pull(event));
    this.element.addEventListener('pointerup', () => this.#drop());
    this.element.addEventListener('pointercancel', () => this.#drop());
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('focusin', ({ target }) => this.#choose(Number(target.dataset.index)));
  }

  /** @param {any[]} regions @param {number} [selected] */
  show(regions, selected = this.#selected) {
    this.#regions = regions;
    this.#selected = selected < regions.length ? selected : regions.length - 1;
    const focused = this.element.contains(document.activeElement);
    const boxes = regions.map((region, index) => this.#box(region, index));
    this.element.replaceChildren(...boxes);
    if (focused) boxes[this.#selected]?.focus();
  }

  #box(region, index) {
    const name = region.id || `Region ${index + 1}`;
    const element = el(
      'div',
      { class: 'region', tabIndex: 0, role: 'button', 'data-index': index, 'aria-pressed': String(index === this.#selected), 'aria-label': `${name}, ${spoken(box(region))}` },
      el('span', { class: 'region-name' }, name),
      el('span', { class: 'region-seat' }, seatText(region.seat)),
      ...EDGES.map((edges) => el('i', { class: `edge ${edges}`, 'data-edges': edges })),
    );
    this.#lay(element, box(region), region.z ?? 0);
    return element;
  }

  #lay(element, { x, y, width, height }, z) {
    Object.assign(element.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${width * 100}%`, height: `${height * 100}%`, zIndex: String(1 + Math.max(0, z)) });
  }

  #choose(index) {
    if (Number.isNaN(index) || index === this.#selected) return;
    this.#selected = index;
    for (const [at, element] of [...this.element.children].entries()) element.setAttribute('aria-pressed', String(at === index));
    this.selected(index);
  }

  #grab(event) {
    const element = event.target.closest('.region');
    if (!element || event.button !== 0) return;
    event.preventDefault();
    element.focus();
    const index = Number(element.dataset.index);
    const frame = this.element.getBoundingClientRect();
    this.#drag = { element, index, frame, edges: event.target.dataset.edges ?? '', from: box(this.#regions[index]), x: event.clientX, y: event.clientY, to: null };
    this.element.setPointerCapture(event.pointerId);
  }

  #pull(event) {
    if (!this.#drag) return;
    const { element, index, frame, edges, from, x, y } = this.#drag;
    const [dx, dy] = [(event.clientX - x) / frame.width, (event.clientY - y) / frame.height];
    let to = edges ? resized(from, edges, dx, dy) : moved(from, dx, dy);
    if (!event.altKey) {
      const others = this.#regions.filter((_, at) => at !== index).map(box);
      to = snapped(to, edges, others, { x: REACH / frame.width, y: REACH / frame.height });
    }
    this.#drag.to = to;
    this.#lay(element, to, this.#regions[index].z ?? 0);
  }

  #drop() {
    const drag = this.#drag;
    this.#drag = null;
    if (drag?.to) this.#place(drag.index, drag.to);
  }

  #place(index, to) {
    this.changed(this.#regions.map((region, at) => (at === index ? placed(region, to) : region)));
    announce(spoken(to));
  }

  #key(event) {
    const index = Number(event.target.dataset.index);
    const region = this.#regions[index];
    if (!region || event.ctrlKey || event.metaKey) return;
    if (event.key === 'Delete' || event.key === 'Backspace') {
      event.preventDefault();
      this.changed(this.#regions.filter((_, at) => at !== index));
      announce('Region removed');
    }
    const by = ARROWS[event.key];
    if (!by) return;
    event.preventDefault();
    this.#place(index, event.shiftKey ? resized(box(region), 'es', ...by) : moved(box(region), ...by));
  }
}
