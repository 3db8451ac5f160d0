/**
 * The picture's frame and what lies over it: the own camera, drawn from the device without delay and mirrored, at the
 * place where the composite shows it late; and the list of tiles for those who cannot see them.
 *
 * @module
 */

import { ownTile } from './tiles.js';
import { el } from './ui.js';

export class Overlay {
  /** Whether the own picture is drawn locally. */
  enabled = true;
  #stage;
  #frame;
  #video;
  #self;
  #own;
  #list;
  #track = null;
  #tile = null;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.stage - the room that the frame may take
   * @param {HTMLElement} parts.frame - takes the picture's shape
   * @param {HTMLVideoElement} parts.video - the composite
   * @param {HTMLElement} parts.self - the box over the own tile, with a video inside
   * @param {HTMLElement} parts.list - of tiles, for screen readers
   */
  constructor({ stage, frame, video, self, list }) {
    this.#stage = stage;
    this.#frame = frame;
    this.#video = video;
    this.#self = self;
    this.#own = self.querySelector('video');
    this.#list = list;
    new ResizeObserver(() => this.fit()).observe(stage);
    video.addEventListener('resize', () => this.fit());
  }

  /** The largest frame of the picture's shape. */
  fit() {
    const ratio = this.#video.videoWidth / this.#video.videoHeight || 16 / 9;
    const { clientWidth, clientHeight } = this.#stage;
    const style = getComputedStyle(this.#stage);
    const wide = clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight);
    const high = clientHeight - Number.parseFloat(style.paddingTop) - Number.parseFloat(style.paddingBottom);
    const width = Math.max(0, Math.min(wide, high * ratio));
    this.#frame.style.width = `${Math.floor(width)}px`;
    this.#frame.style.height = `${Math.floor(width / ratio)}px`;
  }

  /** The camera that is sent; null: none. @param {MediaStreamTrack | null} track */
  show(track) {
    if (this.#track !== track) {
      this.#track = track;
      this.#own.srcObject = track ? new MediaStream([track]) : null;
      if (track) this.#own.play().catch(() => {});
    }
    this.#place();
  }

  /**
   * @param {import('./tiles.js').Tile[]} tiles
   * @param {string | null} id - own participant
   */
  update(tiles, id) {
    this.#tile = ownTile(tiles, id);
    this.#place();
    const texts = tiles.map((tile) => {
      const what = tile.source === 'screen' ? `${tile.name}'s screen` : tile.name;
      const notes = [tile.participant === id && 'you', tile.speaking && 'speaking', tile.muted && 'muted'].filter(Boolean);
      return notes.length > 0 ? `${what} (${notes.join(', ')})` : what;
    });
    const old = [...this.#list.children].map((item) => item.textContent);
    if (texts.join('\n') !== old.join('\n')) this.#list.replaceChildren(...texts.map((text) => el('li', {}, text)));
  }

  #place() {
    const tile = this.#tile;
    const visible = Boolean(this.enabled && tile && this.#track);
    this.#self.hidden = !visible;
    if (!visible) return;
    const { style } = this.#self;
    style.left = `${tile.x * 100}%`;
    style.top = `${tile.y * 100}%`;
    style.width = `${tile.width * 100}%`;
    style.height = `${tile.height * 100}%`;
    this.#self.classList.toggle('speaking', Boolean(tile.speaking));
    this.#self.classList.toggle('muted', Boolean(tile.muted));
  }
}
