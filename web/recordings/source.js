/**
 * Plays a recording with credentials, which a media element cannot send: its fragments are fetched around the place that is
 * played, by the playlist's ranges. It also follows a recording that still runs. What a browser plays out of files alone, as Chromium
 * does VP8 in MP4, is fetched as far as it has come, and what was added to it where that ends.
 *
 * @module
 */

import { call } from '../api.js';
import { isOver, playlist } from './format.js';

/** Seconds that are fetched ahead, and that are kept behind. */
const AHEAD = 30;
const BEHIND = 30;
/** How often the playlist of a running recording is read. */
const AGAIN_MS = 3000;
const CODECS = { h264: 'avc1.42e01f', vp8: 'vp08.00.10.08' };

/** @param {{codec: string} | null | undefined} pictures */
const mime = (pictures) => `video/mp4; codecs="${[CODECS[pictures?.codec], 'opus'].filter(Boolean).join()}"`;

/** Whether a media element may fetch this by itself. @param {{state: string}} recording @param {boolean} signedIn */
export const plain = ({ state }, signedIn) => !signedIn && isOver(state);

export class Source {
  #video;
  #path;
  #mime;
  #fault;
  #media = new MediaSource();
  #buffer = null;
  #list = { head: null, segments: [], ended: false };
  /** What was fetched of a file that is played as such. */
  #parts = [];
  #end = new AbortController();
  #busy = false;
  #timer = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {{id: string, state: string, video?: {codec: string} | null}} recording
   * @param {(error: Error) => void} fault
   */
  constructor(video, { id, state, video: pictures }, fault) {
    this.#video = video;
    this.#path = `/v1/recordings/${id}`;
    this.#mime = mime(pictures);
    this.#fault = fault;
    if (!MediaSource.isTypeSupported(this.#mime)) {
      this.#run(() => this.#whole(isOver(state)));
      return;
    }
    this.#media.addEventListener('sourceopen', () => this.#run(() => this.#open()), { once: true });
    video.src = URL.createObjectURL(this.#media);
    for (const event of ['timeupdate', 'seeking', 'waiting']) {
      video.addEventListener(event, () => this.#run(() => this.#fill()), { signal: this.#end.signal });
    }
  }

  close() {
    this.#end.abort();
    clearInterval(this.#timer);
    URL.revokeObjectURL(this.#video.src);
  }

  /** One thing at a time; what comes meanwhile is asked for again by the next event. */
  async #run(work) {
    if (this.#busy || this.#end.signal.aborted) return;
    this.#busy = true;
    try {
      await work();
    } catch (error) {
      if (!this.#end.signal.aborted) this.#fault(error);
    } finally {
      this.#busy = false;
    }
  }

  /** @param {boolean} over - nothing is added to it any more */
  async #whole(over) {
    if (over) {
      this.#video.src = URL.createObjectURL(await (await this.#get('media')).blob());
      return;
    }
    await this.#grow();
    // Another file means a moment without a picture: only where the one there is does not suffice.
    const atEnd = () => this.#run(async () => { if (this.#isAtEnd) await this.#grow(); });
    for (const event of ['ended', 'play', 'seeked']) this.#video.addEventListener(event, atEnd, { signal: this.#end.signal });
    if (!this.#list.ended) this.#timer = setInterval(() => (this.#video.ended || !this.#video.src ? atEnd() : undefined), AGAIN_MS);
  }

  get #isAtEnd() {
    const { currentTime, duration, ended, src } = this.#video;
    return ended || !src || duration - currentTime < 1;
  }

  /** Fetches what was added, and goes on where it stood. */
  async #grow() {
    this.#list = playlist(await (await this.#get('playlist.m3u8')).text());
    if (this.#list.ended) clearInterval(this.#timer);
    const held = this.#parts.reduce((sum, part) => sum + part.size, 0);
    const added = await this.#beyond(held);
    // A head without a picture after it would be a broken file.
    const { first, length } = this.#list.head ?? { first: held + added.size, length: 0 };
    if (added.size === 0 || held + added.size <= first + length) return;
    this.#parts.push(added);
    const [{ src, currentTime, paused, ended }, url] = [this.#video, URL.createObjectURL(new Blob(this.#parts))];
    this.#video.src = url;
    if (src) URL.revokeObjectURL(src);
    if (currentTime === 0 && paused) return;
    this.#video.currentTime = currentTime;
    if (!paused || ended) await this.#video.play().catch(() => {});
  }

  /** What there is from a byte on. */
  async #beyond(held) {
    try {
      return await (await this.#get('media?form=fragmented', { Range: `bytes=${held}-` })).blob();
    } catch (error) {
      if (error.status === 416) return new Blob();
      throw error;
    }
  }

  async #open() {
    URL.revokeObjectURL(this.#video.src);
    await this.#read();
    this.#buffer = this.#media.addSourceBuffer(this.#mime);
    await this.#append(this.#list.head);
    if (!this.#list.ended) this.#timer = setInterval(() => this.#run(async () => { await this.#read(); await this.#fill(); }), AGAIN_MS);
    await this.#fill();
  }

  async #read() {
    const before = this.#list.segments.length;
    this.#list = playlist(await (await this.#get('playlist.m3u8')).text());
    const last = this.#list.segments.at(-1);
    if (last && this.#list.segments.length > before && this.#media.readyState === 'open') {
      const held = this.#buffer?.buffered;
      this.#media.duration = Math.max(last.at + last.seconds, held?.length ? held.end(held.length - 1) : 0);
    }
    if (this.#list.ended) clearInterval(this.#timer);
  }

  async #fill() {
    if (!this.#buffer || this.#media.readyState === 'closed') return;
    for (;;) {
      const now = this.#video.currentTime;
      const next = this.#list.segments.find((segment) => segment.at + segment.seconds > now + 0.05 && segment.at < now + AHEAD && !this.#holds(segment));
      if (!next) break;
      await this.#append(next);
    }
    const old = this.#video.currentTime - BEHIND;
    if (this.#buffer.buffered.length > 0 && this.#buffer.buffered.start(0) < old - BEHIND) await this.#change(() => this.#buffer.remove(0, old));
    const last = this.#list.segments.at(-1);
    if (this.#list.ended && last && this.#holds(last) && this.#media.readyState === 'open') this.#media.endOfStream();
  }

  #holds({ at, seconds }) {
    const middle = at + seconds / 2;
    const { buffered } = this.#buffer;
    return Array.from(buffered, (_, index) => index).some((index) => buffered.start(index) <= middle && middle < buffered.end(index));
  }

  async #append({ first, length }) {
    const response = await this.#get('media?form=fragmented', { Range: `bytes=${first}-${first + length - 1}` });
    const bytes = await response.arrayBuffer();
    await this.#change(() => this.#buffer.appendBuffer(bytes));
  }

  #change(begin) {
    return new Promise((resolve, reject) => {
      this.#buffer.addEventListener('updateend', resolve, { once: true });
      this.#buffer.addEventListener('error', () => reject(new Error('The browser cannot play this recording.')), { once: true });
      begin();
    });
  }

  #get(what, headers) {
    return call('GET', `${this.#path}/${what}`, { headers, signal: this.#end.signal });
  }
}
