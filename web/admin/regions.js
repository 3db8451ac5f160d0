/**
 * Regions of a custom layout as numbers: moving, resizing and snapping them. No document, no drawing.
 *
 * A box is {x, y, width, height} in shares of the canvas.
 *
 * @module
 */

/** Lines to snap to, beside the edges of other regions: twelfths hold halves, thirds and quarters. */
const LINES = 12;
/** No region is smaller. */
export const LEAST = 1 / 48;
/** Shares that are written as fractions, so that thirds stay thirds. */
const DENOMINATORS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 48];

/** A share as the API writes it, as a number. @param {number | string} share */
export function number(share) {
  if (typeof share === 'number') return share;
  const [over, under = '1'] = String(share).split('/');
  return Number(over) / Number(under);
}

/** A number as a share: a fraction where one fits, else with four digits. @param {number} value */
export function share(value) {
  for (const under of DENOMINATORS) {
    const over = Math.round(value * under);
    if (Math.abs(over / under - value) < 1e-6) return under === 1 ? over : `${over}/${under}`;
  }
  return Number(value.toFixed(4));
}

/** The box of a region. @param {any} region */
export function box(region) {
  return { x: number(region.x ?? 0), y: number(region.y ?? 0), width: number(region.width ?? 1), height: number(region.height ?? 1) };
}

/** A region with another box. @param {any} region @param {ReturnType<typeof box>} to */
export function placed(region, to) {
  return { ...region, x: share(to.x), y: share(to.y), width: share(to.width), height: share(to.height) };
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), Math.max(most, least));

/** Moves a box inside the canvas. @param {ReturnType<typeof box>} from @param {number} dx @param {number} dy */
export function moved(from, dx, dy) {
  return { ...from, x: clamp(from.x + dx, 0, 1 - from.width), y: clamp(from.y + dy, 0, 1 - from.height) };
}

/**
 * Moves some edges of a box.
 *
 * @param {ReturnType<typeof box>} from
 * @param {string} edges - of n, e, s, w
 * @param {number} dx
 * @param {number} dy
 */
export function resized(from, edges, dx, dy) {
  let [left, top, right, bottom] = [from.x, from.y, from.x + from.width, from.y + from.height];
  if (edges.includes('w')) left = clamp(left + dx, 0, right - LEAST);
  if (edges.includes('e')) right = clamp(right + dx, left + LEAST, 1);
  if (edges.includes('n')) top = clamp(top + dy, 0, bottom - LEAST);
  if (edges.includes('s')) bottom = clamp(bottom + dy, top + LEAST, 1);
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The nearest of some lines, if it is near enough. */
function nearest(value, lines, reach) {
  const line = lines.reduce((best, at) => (Math.abs(at - value) < Math.abs(best - value) ? at : best), Infinity);
  return Math.abs(line - value) <= reach ? line : null;
}

/** Lines along one axis: twelfths, and the edges of the other boxes. */
function lines(others, start, length) {
  const grid = Array.from({ length: LINES + 1 }, (_, index) => index / LINES);
  return [...grid, ...others.flatMap((other) => [other[start], other[start] + other[length]])];
}

/**
 * Lets the edges that move snap to lines nearby.
 *
 * @param {ReturnType<typeof box>} to
 * @param {string} edges - that were dragged; empty: the whole box
 * @param {ReturnType<typeof box>[]} others
 * @param {{x: number, y: number}} reach - how near, in shares
 */
export function snapped(to, edges, others, reach) {
  const result = { ...to };
  for (const [start, length, low, high] of [['x', 'width', 'w', 'e'], ['y', 'height', 'n', 's']]) {
    const all = lines(others, start, length);
    const first = nearest(to[start], all, reach[start]);
    const last = nearest(to[start] + to[length], all, reach[start]);
    if (edges === '') {
      const by = first !== null ? first - to[start] : last !== null ? last - to[start] - to[length] : 0;
      result[start] = clamp(to[start] + by, 0, 1 - to[length]);
    } else if (edges.includes(low) && first !== null && to[start] + to[length] - first >= LEAST) {
      result[length] = to[start] + to[length] - first;
      result[start] = first;
    } else if (edges.includes(high) && last !== null && last - to[start] >= LEAST) {
      result[length] = last - to[start];
    }
  }
  return result;
}

/** A seat as text for a select, and what it says. @param {any} seat @returns {[string, string]} */
export function seatParts(seat) {
  if (seat === undefined || seat === null) return ['any', ''];
  if (typeof seat === 'string') return [seat, ''];
  const [kind] = Object.keys(seat);
  return [kind, String(seat[kind])];
}

/** A seat in a few words. @param {any} seat */
export function seatText(seat) {
  const [kind, text] = seatParts(seat);
  if (kind === 'image') return text.startsWith('data:') ? 'a picture' : `picture ${text}`;
  return text || kind.replaceAll('_', ' ');
}

/** The seat of a select and its text. @param {string} kind @param {string} text */
export function seatOf(kind, text) {
  return ['participant', 'role', 'image'].includes(kind) ? { [kind]: text } : kind;
}

/** Words for a box, for those who hear it. @param {ReturnType<typeof box>} at */
export function spoken(at) {
  const percent = (value) => `${Math.round(value * 100)} %`;
  return `left ${percent(at.x)}, top ${percent(at.y)}, ${percent(at.width)} wide, ${percent(at.height)} high`;
}

/** Where to begin. */
export const TEMPLATES = {
  'One large, three beside': [
    { id: 'large', x: 0, y: 0, width: '3/4', height: 1, seat: 'active_speaker' },
    { id: 'side-1', x: '3/4', y: 0, width: '1/4', height: '1/3', seat: 'any' },
    { id: 'side-2', x: '3/4', y: '1/3', width: '1/4', height: '1/3', seat: 'any' },
    { id: 'side-3', x: '3/4', y: '2/3', width: '1/4', height: '1/3', seat: 'any' },
  ],
  'Screen with speaker': [
    { id: 'screen', x: 0, y: 0, width: '3/4', height: 1, seat: 'screen' },
    { id: 'speaker', x: '3/4', y: '1/3', width: '1/4', height: '1/3', seat: 'active_speaker' },
  ],
  'Two beside each other': [
    { id: 'left', x: 0, y: 0, width: '1/2', height: 1, seat: 'any' },
    { id: 'right', x: '1/2', y: 0, width: '1/2', height: 1, seat: 'any' },
  ],
  'Interpreter in the corner': [
    { id: 'all', x: 0, y: 0, width: 1, height: 1, seat: 'any', tiles: 9 },
    { id: 'interpreter', x: '3/4', y: '2/3', width: '1/4', height: '1/3', z: 1, seat: { role: 'interpreter' } },
  ],
};

/** A warning with its place: regions and overlays are counted from 1, as in their names. @param {{pointer: string, detail: string}} warning */
export function warningText({ pointer, detail }) {
  const place = pointer.replace(/^\//, '').replaceAll('/', ' ').replaceAll('_', ' ');
  const counted = place.replace(/\b(group|region|overlay)s (\d+)/g, (_, what, index) => `${what} ${Number(index) + 1}`);
  return counted ? `${counted}: ${detail}` : detail;
}
