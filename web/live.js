/**
 * What a participant and a viewer have in common: a line that is kept alive, one stream that outlives reconnects,
 * the video element that shows it, and figures.
 *
 * @module
 */

import { Line } from './line.js';
import { Session } from './session.js';
import { StatsReader } from './stats.js';
import { TileClock } from './tiles.js';

const IMPATIENCE_MS = 250;

/**
 * Events, all CustomEvents: `state` ({state, error}), `picture` (the first picture of a connection is on the screen).
 */
export class Live extends EventTarget {
  /** The composite and the mix: stays the same object across reconnects. */
  stream = new MediaStream();
  /** @protected */ line;
  /** @protected */ clock;
  #video = null;
  #first = true;
  #reader = new StatsReader();
  #endpoint;
  #servers = null;
  #patience = 0;
  #deaf = () => {};
  #resize = null;
  #options;

  /**
   * @param {object} options - token, iceServers, iceTransportPolicy
   * @param {URL} endpoint
   */
  constructor(options, endpoint) {
    super();
    this.#options = options;
    this.#endpoint = endpoint;
    this.clock = new TileClock((map) => this.tilesShown(map));
    this.line = new Line({
      make: () => this.#make(),
      notify: (state, { error }) => this.emit('state', { state, error }),
      verdict: (session) => this.verdict(session),
    });
    this.onPageHide = () => this.leave();
    globalThis.addEventListener?.('pagehide', this.onPageHide);
    this.addEventListener('state', ({ detail }) => detail.state === 'closed' && this.#stop());
  }

  /**
   * Whether the server has ended the session for good.
   *
   * @protected
   * @returns {Promise<Error | null>}
   */
  async verdict() {
    return null;
  }

  /** @returns {import('./line.js').LineState} */
  get state() {
    return this.line.state;
  }

  /** The connection in use, for what this module does not offer. @returns {RTCPeerConnection | null} */
  get pc() {
    return this.line.session?.pc ?? null;
  }

  /**
   * Shows the composite in `video`. Browsers may forbid sound before the first click: then the picture plays muted,
   * and the promise resolves to false; call `video.muted = false` in a click handler.
   *
   * @param {HTMLVideoElement} video
   * @returns {Promise<boolean>} whether sound plays
   */
  async attach(video) {
    this.detach();
    this.#video = video;
    video.srcObject = this.stream;
    video.playsInline = true;
    this.#follow(video);
    try {
      await video.play();
      return !video.muted;
    } catch (error) {
      if (error.name !== 'NotAllowedError') return !video.muted;
      video.muted = true;
      await video.play().catch(() => {});
      return false;
    }
  }

  detach() {
    if (this.#video) this.#video.srcObject = null;
    this.#video = null;
    clearInterval(this.#patience);
    this.#resize?.disconnect();
    this.#deaf();
  }

  /** @returns {Promise<import('./stats.js').Stats | null>} */
  async stats() {
    const { pc } = this;
    if (!pc || pc.connectionState === 'closed') return null;
    return this.#reader.read(await pc.getStats(), (mid, kind) => this.sourceOf(mid, kind));
  }

  /** Tries to get the connection back now instead of when the next attempt is due. */
  reconnect() {
    return this.line.retry();
  }

  /** Ends the session. The object is of no further use. */
  leave() {
    this.line.close();
  }

  /** @protected */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @protected What the m-line `mid` sends. @returns {'camera' | 'screen' | 'microphone' | 'screen-audio' | null} */
  sourceOf(_mid, _kind) {
    return null;
  }

  /** @protected Adds tracks and channels to a new connection. @param {Session} _session */
  prepare(_session) {}

  /** @protected The session is open: its answer is applied. @param {Session} _session */
  opened(_session) {}

  /** @protected @param {import('./tiles.js').TileMap} _map */
  tilesShown(_map) {}

  /** @protected The size in device pixels at which the composite is shown. */
  shownAt(_width, _height) {}

  /** Makes a session and puts its tracks into the stream. */
  async #make() {
    const { token, iceServers, iceTransportPolicy } = this.#options;
    this.#servers ??= iceServers ? Promise.resolve(iceServers) : Session.iceServers(this.#endpoint, token);
    const servers = await this.#servers;
    // Credentials of TURN servers expire: the next connection asks again.
    this.#servers = null;
    const rtc = { iceServers: servers, ...(iceTransportPolicy && { iceTransportPolicy }) };
    const session = new Session({ endpoint: this.#endpoint, token, rtc });
    this.prepare(session);
    this.clock.clear();
    this.#show(session);
    try {
      await session.open();
    } catch (error) {
      session.close();
      throw error;
    }
    this.opened(session);
    return session;
  }

  #show(session) {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    for (const kind of ['audio', 'video']) {
      const transceiver = session.pc.getTransceivers().find((t) => t.receiver.track.kind === kind && t.direction.includes('recv'));
      if (transceiver) this.stream.addTrack(transceiver.receiver.track);
    }
    this.#first = true;
    if (!this.#video) return;
    // A player that has seen all of its tracks end does not begin again by itself.
    this.#video.srcObject = this.stream;
    this.#video.play().catch(() => {});
  }

  /** Watches which picture is on the screen and how large it is shown. */
  #follow(video) {
    const step = (now, metadata) => {
      if (this.#video !== video) return;
      this.clock.advance(metadata.rtpTimestamp ?? this.#latestTimestamp(), now);
      if (this.#first) {
        this.#first = false;
        this.emit('picture', { width: metadata.width, height: metadata.height });
      }
      video.requestVideoFrameCallback(step);
    };
    video.requestVideoFrameCallback?.(step);
    this.#patience = setInterval(() => this.clock.advance(null, performance.now()), IMPATIENCE_MS);
    let timer = 0;
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = video;
      // A player without a size of its own takes that of the picture: what it is sent must not depend on it.
      const follows = video.videoWidth === 0 || (width === video.videoWidth && height === video.videoHeight);
      const scale = globalThis.devicePixelRatio || 1;
      if (this.#video === video && !follows) this.shownAt(Math.round(width * scale), Math.round(height * scale));
    };
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(measure, 400);
    };
    this.#resize = new ResizeObserver(soon);
    this.#resize.observe(video);
    video.addEventListener('resize', soon);
    this.#deaf = () => video.removeEventListener('resize', soon);
  }

  /** For browsers whose frame callback does not name the picture. */
  #latestTimestamp() {
    const receiver = this.pc?.getReceivers().find((r) => r.track === this.stream.getVideoTracks()[0]);
    return receiver?.getSynchronizationSources?.()[0]?.rtpTimestamp ?? null;
  }

  #stop() {
    globalThis.removeEventListener?.('pagehide', this.onPageHide);
    this.detach();
  }
}

/** @param {string} path @param {{url?: string}} options @param {Record<string, string | undefined>} query */
export function endpoint(path, { url }, query) {
  const target = new URL(path, url ?? globalThis.location.href);
  for (const [key, value] of Object.entries(query)) if (value) target.searchParams.set(key, value);
  return target;
}

/** A view of a room as one stream (WHEP). Events: `state`, `picture`. */
export class Player extends Live {
  /** Use `watch` of mixdown.js. */
  constructor(options) {
    super(options, endpoint(`/whep/${encodeURIComponent(options.room)}`, options, { view: options.view, name: options.name }));
  }

  /** Own id as a viewer; null until the answer has come. @returns {string | null} */
  get id() {
    return this.line.session?.location?.pathname.split('/').pop() ?? null;
  }

  /** @protected */
  prepare({ pc }) {
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
  }
}
