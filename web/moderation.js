/**
 * What others decide for one, and what one may decide for others. No document, no connection: times are given.
 *
 * @module
 */

/** Ends of a session after which one does not come back by oneself. */
const FINAL = {
  removed: 'You were removed from the room.',
  denied: 'You were not let in.',
  transferred: 'You were sent to another room.',
  duplicate_identity: 'You have joined from another place, and the newest connection stays.',
};
/** Rosters that were held up on their way together with the first one that knows one's own last word have come within this time. */
const SETTLE_MS = 1000;
const KINDS = /** @type {const} */ (['audio', 'video']);
/** Messages that are remembered so that none is told twice. */
const KNOWN_MESSAGES = 500;

/** Why a session has ended for good, in words; null: it may be begun anew. @param {any} described - GET of the session */
export function finalWord(described) {
  const { state, reason_code: code } = described ?? {};
  return state === 'disconnected' && Object.hasOwn(FINAL, code) ? FINAL[code] : null;
}

/** The grants in a token, as far as they can be read. @param {string} token */
export function granted(token) {
  try {
    const text = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0)))).mixdown ?? {};
  } catch {
    return {};
  }
}

/** Tells one's own mutes from those of others. */
export class Mutes {
  #told = { audio: null, video: null };
  /** When a roster first had what was told; Infinity: none has yet. */
  #echoed = { audio: Infinity, video: Infinity };

  /** One has told the server. @param {{audio: boolean, video: boolean}} mutes */
  tell(mutes) {
    for (const kind of KINDS) if (mutes[kind] !== this.#told[kind]) this.#echoed[kind] = Infinity;
    this.#told = { ...mutes };
  }

  /** A roster has come. @param {{muted_audio: boolean, muted_video: boolean}} own @param {number} now - milliseconds */
  hear(own, now) {
    for (const kind of KINDS) if (own[`muted_${kind}`] === this.#told[kind]) this.#echoed[kind] = Math.min(this.#echoed[kind], now);
  }

  /**
   * What others have muted, by the roster's word; null: nothing. A moderator's mute is known by its sign; one of another
   * kind (the same identity by REST) looks like an older word of one's own until a roster has had the last one.
   *
   * @param {{muted_audio: boolean, muted_video: boolean, operator_muted_audio?: boolean, operator_muted_video?: boolean}} own
   * @param {number} now - milliseconds
   */
  byOthers(own, now) {
    const muted = (kind) => Boolean(own[`operator_muted_${kind}`] || (own[`muted_${kind}`] && this.#left(kind, now) === 0));
    const by = { audio: this.#told.audio === false && muted('audio'), video: this.#told.video === false && muted('video') };
    return by.audio || by.video ? by : null;
  }

  /** Milliseconds after which a roster that is there already may count; 0: nothing is gained by waiting. @param {number} now - milliseconds */
  settlesIn(now) {
    return Math.max(0, ...KINDS.map((kind) => this.#left(kind, now)).filter(Number.isFinite));
  }

  #left(kind, now) {
    return Math.max(0, this.#echoed[kind] + SETTLE_MS - now);
  }
}

/** What moderators held before and let go of now; null: nothing. @param {any} before @param {any} now - one's own entries of two rosters */
export function letGo(before, now) {
  const gone = (kind) => Boolean(before?.[`operator_muted_${kind}`] && now && !now[`operator_muted_${kind}`]);
  const released = { audio: gone('audio'), video: gone('video') };
  return released.audio || released.video ? released : null;
}

/** Which chat messages are new: a server tells the last ones again to whoever connects. */
export class Hearing {
  #known = new Set();

  /** Whether it was not heard yet. @param {{participant?: string | null, text: string, at?: string}} message */
  take({ participant, text, at }) {
    const key = `${at}\n${participant}\n${text}`;
    const fresh = !at || !this.#known.has(key);
    this.#known.add(key);
    if (this.#known.size > KNOWN_MESSAGES) this.#known.delete(this.#known.values().next().value);
    return fresh;
  }
}
