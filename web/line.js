/**
 * Keeps a connection alive: an ICE restart when the path is lost, a new session when that does not help, with
 * back-off between attempts. It knows nothing of rooms; whoever uses it says how a new session is made.
 *
 *     connecting ──► connected ◄──► reconnecting ──► closed
 *
 * @module
 */

import { MixdownError } from './session.js';

/** How long a disconnected path may come back by itself. */
const GRACE_MS = 1500;
/** How long a restarted path or a new session may take until media can flow. */
const RESTART_MS = 6000;
const OPEN_MS = 15000;
/** How often the server is asked for a session whose path is not up: nothing else would tell that it was ended. */
const ASK_MS = 2000;
/** Beyond this the server has given the session up (consent expires after 30 s). */
const SESSION_LIFE_MS = 25000;
const BACK_OFF_MS = [300, 1000, 2000, 4000, 8000, 15000];

/** @typedef {'connecting' | 'connected' | 'reconnecting' | 'closed'} LineState */

export class Line {
  /** @type {LineState} */
  state = 'connecting';
  /** @type {import('./session.js').Session | null} */
  session = null;
  #make;
  #notify;
  #verdict;
  /** Ends each wait that is going on. @type {Set<() => void>} */
  #waits = new Set();
  #grace = 0;
  #recovering = false;

  /**
   * @param {object} options
   * @param {() => Promise<import('./session.js').Session>} options.make - a session whose answer is applied
   * @param {(state: LineState, detail: {error?: Error}) => void} options.notify
   * @param {(session: import('./session.js').Session) => Promise<Error | null>} [options.verdict] - whether the server has ended a session for good
   */
  constructor({ make, notify, verdict = async () => null }) {
    this.#verdict = verdict;
    this.#make = make;
    this.#notify = notify;
    this.online = () => this.#wake();
    globalThis.addEventListener?.('online', this.online);
  }

  /** The first session. Rejects when it is refused; once it has opened, the line looks after itself. */
  async open() {
    try {
      this.#take(await this.#make());
    } catch (error) {
      this.close(error);
      throw error;
    }
    const first = this.session;
    this.#connected(OPEN_MS).then((up) => !up && this.session === first && this.lost(true));
  }

  /** For good. @param {Error} [error] - why, when it was not wanted */
  close(error) {
    if (this.state === 'closed') return;
    globalThis.removeEventListener?.('online', this.online);
    clearTimeout(this.#grace);
    this.session?.close();
    this.#set('closed', error);
    this.#wake();
  }

  /** Tries at once: begins a recovery, or ends the wait before the next attempt of the one under way. */
  retry() {
    if (!this.#recovering) return this.lost();
    this.#wake();
    return Promise.resolve();
  }

  /**
   * Starts a recovery unless one is under way.
   *
   * @param {boolean} [gone] - the session itself is beyond help: go straight to a new one
   */
  async lost(gone = false) {
    if (this.#recovering || this.state === 'closed') return;
    this.#recovering = true;
    clearTimeout(this.#grace);
    this.#set('reconnecting');
    try {
      const final = gone ? await this.#verdict(this.session) : null;
      if (final) return this.close(final);
      if (gone || !(await this.#restart())) await this.#replace();
      this.#follow(this.session.pc.connectionState);
    } catch (error) {
      this.close(error);
    } finally {
      this.#recovering = false;
    }
  }

  #set(state, error) {
    if (this.state === state || this.state === 'closed') return;
    this.state = state;
    this.#notify(state, { error });
  }

  #take(session) {
    this.session = session;
    if (this.state === 'closed') return session.close();
    const { pc } = session;
    pc.addEventListener('connectionstatechange', () => {
      if (this.session === session) this.#follow(pc.connectionState);
    });
    this.#follow(pc.connectionState);
  }

  #follow(state) {
    clearTimeout(this.#grace);
    if (state === 'connected') {
      this.#set('connected');
      this.#wake();
    } else if (state === 'failed' || state === 'disconnected') {
      this.#wake();
      this.#grace = setTimeout(() => this.lost(), state === 'failed' ? 0 : GRACE_MS);
    }
  }

  /** Waits until the session's path is up, at most `ms`; ends the line where the server has ended the session for good. */
  async #connected(ms) {
    const { session } = this;
    const until = performance.now() + ms;
    let ask = performance.now() + ASK_MS;
    while (this.state !== 'closed' && this.session === session && !session.closed) {
      if (session.pc.connectionState === 'connected') return true;
      const now = performance.now();
      if (now >= until || session.pc.connectionState === 'closed') return false;
      if (now >= ask) {
        ask = now + ASK_MS;
        this.#verdict(session).then((final) => final && this.session === session && this.close(final), () => {});
      }
      await this.#sleep(Math.min(until - now, 250));
    }
    return this.state === 'closed';
  }

  /** Tries the running session until it would have expired at the server. @returns whether it is up again */
  async #restart() {
    const since = performance.now();
    for (let attempt = 0; performance.now() - since < SESSION_LIFE_MS && this.state !== 'closed'; attempt += 1) {
      try {
        await this.session.restart();
        if (await this.#connected(RESTART_MS)) return true;
        if (attempt > 0) return false;
      } catch (error) {
        if (!(error instanceof MixdownError) || error.status !== 0) return false;
        await this.#pause(attempt);
        if (this.session.pc.connectionState === 'connected') return true;
      }
    }
    return this.state === 'closed';
  }

  /** New sessions until one stands. Throws when the server refuses for good. */
  async #replace() {
    for (let attempt = 0; this.state !== 'closed'; attempt += 1) {
      this.session?.close();
      try {
        this.#take(await this.#make());
        if (await this.#connected(OPEN_MS)) return;
        await this.#pause(attempt);
      } catch (error) {
        if (!(error instanceof MixdownError) || !error.temporary) throw error;
        await this.#pause(attempt, error.retryAfter);
      }
    }
  }

  #pause(attempt, seconds = 0) {
    const base = BACK_OFF_MS[Math.min(attempt, BACK_OFF_MS.length - 1)];
    return this.#sleep(Math.max(base * (0.75 + Math.random() / 2), seconds * 1000));
  }

  /** Cut short by a change of the connection, by the network's return, by `retry` and by `close`. */
  #sleep(ms) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waits.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waits.add(done);
    });
  }

  #wake() {
    for (const done of [...this.#waits]) done();
  }
}
