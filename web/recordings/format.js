/**
 * What is computed of recordings without a document: words for figures, lanes of speakers, playlists.
 *
 * @module
 */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** @param {number} ms @returns {string} such as 1:02:03 */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** @param {number} bytes @returns {string} such as 12.3 MB */
export function size(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit > 0 && value < 100 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

/** Whether nothing is added any more. @param {string} state */
export const isOver = (state) => ['complete', 'interrupted', 'failed'].includes(state);

/**
 * One lane for each who spoke, by their first word; places and lengths as shares of the whole.
 *
 * @param {{duration_ms: number, turns: {participant: string, name: string, from_ms: number, to_ms: number}[]}} timeline
 * @returns {{name: string, turns: {from_ms: number, to_ms: number, at: number, length: number}[]}[]}
 */
export function lanes({ duration_ms: whole, turns }) {
  const all = new Map();
  const share = (ms) => (whole > 0 ? Math.min(1, Math.max(0, ms / whole)) : 0);
  for (const { participant, name, from_ms, to_ms } of turns) {
    if (!all.has(participant)) all.set(participant, { name, turns: [] });
    const lane = all.get(participant);
    lane.name = name;
    lane.turns.push({ from_ms, to_ms, at: share(from_ms), length: share(to_ms) - share(from_ms) });
  }
  return [...all.values()];
}

/**
 * Reads a playlist of byte ranges (RFC 8216).
 *
 * @param {string} text
 * @returns {{head: Range | null, segments: (Range & {at: number, seconds: number})[], ended: boolean}} `at`, `seconds`: time in the media
 * @typedef {{first: number, length: number}} Range
 */
export function playlist(text) {
  const range = (words) => {
    const [, length, first] = /^"?(\d+)@(\d+)"?$/.exec(words) ?? [];
    return length === undefined ? null : { first: Number(first), length: Number(length) };
  };
  const found = { head: null, segments: [], ended: false };
  let [at, seconds] = [0, 0];
  for (const line of text.split(/\r?\n/)) {
    const [, tag, value = ''] = /^#EXT(?:-X-)?([A-Z0-9-]+)(?::(.*))?$/.exec(line) ?? [];
    if (tag === 'MAP') found.head = range(/BYTERANGE=("[^"]*")/.exec(value)?.[1] ?? '');
    else if (tag === 'INF') seconds = Number.parseFloat(value) || 0;
    else if (tag === 'BYTERANGE' && range(value)) {
      found.segments.push({ ...range(value), at, seconds });
      at += seconds;
    } else if (tag === 'ENDLIST') found.ended = true;
  }
  return found;
}
