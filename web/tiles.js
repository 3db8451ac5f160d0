/**
 * Applies tile maps in step with the picture. A map names the RTP timestamp of the first picture it describes; it
 * comes by the data channel and usually arrives before that picture leaves the jitter buffer.
 *
 * @module
 */

/** A map whose picture has not been seen by then is applied all the same (hidden page, no picture). */
const PATIENCE_MS = 1000;

/**
 * Whether RTP timestamp `a` is at or after `b`, both modulo 2^32.
 *
 * @param {number} a
 * @param {number} b
 */
export function reached(a, b) {
  return ((a - b) | 0) >= 0;
}

/**
 * @typedef {object} Tile
 * @property {string} participant
 * @property {string} name
 * @property {'camera' | 'screen'} source
 * @property {number} x - left edge, 0–1 of the canvas
 * @property {number} y
 * @property {number} width
 * @property {number} height
 * @property {boolean} speaking
 * @property {boolean} muted
 */

/**
 * @typedef {object} TileMap
 * @property {number} rtp_timestamp
 * @property {number} width - of the canvas in pixels
 * @property {number} height
 * @property {Tile[]} tiles
 */

/** Tiles that share less than this share an edge. */
const EDGE = 0.001;

/**
 * The tile of one's own camera; null where there is none, or where something stands over it, which what is drawn over the tile would hide.
 *
 * @param {Tile[]} tiles - from the lowest to the topmost
 * @param {string | null} id - own participant
 */
export function ownTile(tiles, id) {
  const at = tiles.findIndex((tile) => tile.participant === id && tile.source === 'camera');
  if (at < 0) return null;
  const own = tiles[at];
  const meets = (from, size, other, otherSize) => Math.min(from + size, other + otherSize) - Math.max(from, other) > EDGE;
  const over = tiles.slice(at + 1).some((tile) => meets(own.x, own.width, tile.x, tile.width) && meets(own.y, own.height, tile.y, tile.height));
  return over ? null : own;
}

export class TileClock {
  /** @type {{map: TileMap, since: number}[]} */
  #waiting = [];
  #apply;

  /** @param {(map: TileMap) => void} apply */
  constructor(apply) {
    this.#apply = apply;
  }

  /**
   * @param {TileMap} map
   * @param {number} now - milliseconds
   */
  push(map, now) {
    this.#waiting.push({ map, since: now });
  }

  /**
   * The picture with this RTP timestamp is on the screen; null when the browser does not say which one is.
   *
   * @param {number | null} rtp
   * @param {number} now - milliseconds
   */
  advance(rtp, now) {
    let last = null;
    while (this.#waiting.length > 0) {
      const { map, since } = this.#waiting[0];
      const shown = rtp !== null && reached(rtp, map.rtp_timestamp >>> 0);
      if (!shown && now - since < PATIENCE_MS) break;
      last = this.#waiting.shift().map;
    }
    if (last) this.#apply(last);
  }

  /** A new connection: what was awaited will not come. */
  clear() {
    this.#waiting = [];
  }
}
