/**
 * One peer connection and the HTTP session that controls it, as participants, WHIP and WHEP have it in common:
 * POST an offer, PATCH candidates, ICE restarts and re-offers, DELETE.
 *
 * A session does not reconnect and knows nothing of rooms; `Line` (line.js) replaces a session that is beyond help.
 *
 * @module
 */

import { fragment, iceServers, markSlides, withFragment } from './sdp.js';

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
/** Candidates that appear within this time travel together. */
const TRICKLE_MS = 30;
/** An unreachable server must not hold a join up longer than this for the sake of its ICE servers. */
const OPTIONS_MS = 1500;
/** A request without an answer within this time counts as one that never reached the server. */
const REQUEST_MS = 10_000;
/** How long an offer that could not be told waits before it is told again. */
const OFFER_MS = 3000;

/** A request that the server refused, or that never reached it (`status` 0). */
export class MixdownError extends Error {
  /**
   * @param {string} message
   * @param {number} [status] - HTTP status; 0: no answer
   * @param {object | null} [problem] - the RFC 9457 body, where there was one
   * @param {number} [retryAfter] - seconds, from Retry-After
   */
  constructor(message, status = 0, problem = null, retryAfter = undefined) {
    super(message);
    this.name = 'MixdownError';
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may succeed later. */
  get temporary() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** @param {Response} response */
async function refusal(response) {
  const type = response.headers.get('Content-Type') ?? '';
  const problem = type.includes('json') ? await response.json().catch(() => null) : null;
  const retry = Number.parseFloat(response.headers.get('Retry-After') ?? '');
  const message = problem?.detail ?? problem?.title ?? `the server answered ${response.status}`;
  return new MixdownError(message, response.status, problem, Number.isFinite(retry) ? retry : undefined);
}

/** @param {Error} error - why no whole answer has come */
function unreachable(error) {
  return new MixdownError(`the server cannot be reached (${error.message})`);
}

/**
 * fetch, with refusals and dead networks as MixdownError.
 *
 * @param {string | URL} url
 * @param {RequestInit} options
 */
export async function request(url, options) {
  let response;
  try {
    response = await fetch(url, { cache: 'no-store', credentials: 'omit', ...options });
  } catch (error) {
    throw unreachable(error);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** A connection, if need be without ICE servers that this browser does not take. @param {RTCConfiguration} configuration */
function connection(configuration) {
  try {
    return new RTCPeerConnection(configuration);
  } catch {
    return new RTCPeerConnection({ ...configuration, iceServers: [] });
  }
}

export class Session {
  /** Where PATCH and DELETE go; null before the answer and after `close`. @type {URL | null} */
  location = null;
  /** Mids of the sections that carry a screen: asked for each offer. @type {() => string[]} */
  slides = () => [];
  #etag = '';
  #queue = Promise.resolve();
  #candidates = [];
  #ended = false;
  #timer = 0;
  #closed = false;
  #due = false;
  #again = 0;

  /**
   * @param {object} options
   * @param {URL} options.endpoint - where the offer is posted
   * @param {string} [options.token] - bearer token
   * @param {RTCConfiguration} [options.rtc] - merged over the defaults
   */
  constructor({ endpoint, token, rtc }) {
    this.endpoint = endpoint;
    this.token = token;
    this.pc = connection({ bundlePolicy: 'max-bundle', ...rtc });
    this.pc.addEventListener('icecandidate', ({ candidate }) => this.#gathered(candidate));
  }

  /** ICE servers that the endpoint hands out; none when it does not say so in time. @param {URL} endpoint @param {string} [token] */
  static async iceServers(endpoint, token) {
    try {
      const response = await request(endpoint, {
        method: 'OPTIONS',
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        signal: AbortSignal.timeout(OPTIONS_MS),
      });
      return iceServers(response.headers.get('Link'));
    } catch {
      return [];
    }
  }

  /** Posts the offer and applies the answer. Tracks and channels must be in place. */
  open() {
    return this.#serial(async () => {
      await this.pc.setLocalDescription();
      const response = await this.#send('POST', SDP, this.#offer(), {}, this.endpoint);
      const location = response.headers.get('Location');
      if (!location) throw new MixdownError('the answer has no Location', response.status);
      this.location = new URL(location, this.endpoint);
      this.#etag = response.headers.get('ETag') ?? '';
      this.#adopt(response);
      if (this.#closed) return this.#delete();
      await this.pc.setRemoteDescription({ type: 'answer', sdp: response.text });
      this.#trickle();
    });
  }

  /** Offers the tracks as they are now. A refusal rolls the offer back and is thrown. */
  renegotiate() {
    return this.#serial(async () => {
      if (!this.location) return;
      await this.pc.setLocalDescription();
      try {
        const response = await this.#send('PATCH', SDP, this.#offer(), this.#etag ? { 'If-Match': this.#etag } : {});
        this.#etag = response.headers.get('ETag') ?? this.#etag;
        await this.pc.setRemoteDescription({ type: 'answer', sdp: response.text });
      } catch (error) {
        // The server may have taken the offer all the same, and have gone on to another ETag.
        if (error.status === 0) this.#etag = '';
        await this.#rollBack();
        throw error;
      }
    });
  }

  /**
   * Offers what the server does not know yet. What it cannot be told now it is told later; who has changed something hears
   * of the failure.
   *
   * @param {boolean} [changed] - whether there is something new
   */
  async propose(changed = false) {
    this.#due ||= changed;
    if (!this.#due || !this.location) return;
    clearTimeout(this.#again);
    this.#due = false;
    try {
      await this.renegotiate();
    } catch (error) {
      this.#due = true;
      if (error.temporary) this.#proposeLater(Math.max(OFFER_MS, (error.retryAfter ?? 0) * 1000));
      throw error;
    }
  }

  #proposeLater(ms) {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (this.#closed) return;
      // While the path is down, its restart must not wait behind an offer.
      if (this.pc.connectionState === 'connected') this.propose().catch(() => {});
      else this.#proposeLater(ms);
    }, ms);
  }

  /** ICE restart: new credentials on both sides, media and certificates as they are. */
  restart() {
    return this.#serial(async () => {
      if (!this.location) throw new MixdownError('the session has ended', 404);
      const { pc } = this;
      this.#candidates = [];
      this.#ended = false;
      await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
      try {
        const body = fragment(pc.localDescription.sdp, [], false);
        const response = await this.#send('PATCH', FRAGMENT, body, { 'If-Match': '*' });
        this.#etag = response.headers.get('ETag') ?? this.#etag;
        this.#adopt(response);
        await pc.setRemoteDescription({ type: 'answer', sdp: withFragment(pc.remoteDescription.sdp, response.text) });
      } catch (error) {
        await this.#rollBack();
        throw error;
      }
      this.#trickle();
    });
  }

  /**
   * A JSON request to the session's own resource.
   *
   * @param {string} method
   * @param {object} [patch] - merge-patch body
   */
  async resource(method, patch) {
    if (!this.location) throw new MixdownError('the session has ended', 404);
    const response = await this.#send(method, patch && 'application/merge-patch+json', patch && JSON.stringify(patch));
    return response.status === 204 ? null : JSON.parse(response.text);
  }

  /** Ends the session on both sides. Never throws; safe while the page unloads. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#again);
    this.pc.close();
    this.#delete();
  }

  get closed() {
    return this.#closed;
  }

  /** One negotiation at a time: offers must not overlap. */
  #serial(step) {
    const result = this.#queue.then(() => {
      if (this.#closed) throw new MixdownError('the session has ended', 404);
      return step();
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  #offer() {
    return markSlides(this.pc.localDescription.sdp, new Set(this.slides()));
  }

  async #rollBack() {
    if (this.pc.signalingState === 'have-local-offer') await this.pc.setLocalDescription({ type: 'rollback' }).catch(() => {});
  }

  /** The limit holds for the answer's body too, which is why it is read here. */
  async #send(method, type, body, headers = {}, url = this.location) {
    const all = { ...headers };
    if (type) all['Content-Type'] = type;
    if (this.token) all.Authorization = `Bearer ${this.token}`;
    const response = await request(url, { method, headers: all, body, signal: AbortSignal.timeout(REQUEST_MS) });
    const text = await response.text().catch((error) => {
      throw unreachable(error);
    });
    return { status: response.status, headers: response.headers, text };
  }

  /** Servers named in the answer serve the next gathering. */
  #adopt(response) {
    const servers = iceServers(response.headers.get('Link'));
    if (servers.length === 0 || this.#closed) return;
    try {
      this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: servers });
    } catch {
      // Servers that this browser does not take are no reason to end a call.
    }
  }

  #gathered(candidate) {
    if (candidate?.candidate) this.#candidates.push(candidate.candidate);
    else if (!candidate) this.#ended = true;
    if (this.location && this.pc.signalingState === 'stable') this.#trickle();
  }

  #trickle() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), TRICKLE_MS);
  }

  /** Best effort: without our candidates the server still learns the addresses from our checks. */
  async #flush() {
    if (!this.location || this.#closed || (this.#candidates.length === 0 && !this.#ended)) return;
    const candidates = this.#candidates.splice(0);
    const end = this.#ended;
    this.#ended = false;
    const body = fragment(this.pc.localDescription.sdp, candidates, end);
    await this.#send('PATCH', FRAGMENT, body, { 'If-Match': this.#etag || '*' }).catch(() => {});
  }

  #delete() {
    const url = this.location;
    if (!url) return;
    this.location = null;
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    fetch(url, { method: 'DELETE', headers, keepalive: true, credentials: 'omit' }).catch(() => {});
  }
}
