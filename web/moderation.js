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
/** A roster that was written before one's own last word was read has come within this time. */
const SETTLE_MS = 1000;
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
  #told = { audio: null, video: null, at: -Infinity };

  /** One has told the server. @param {{audio: boolean, video: boolean}} mutes @param {number} now - milliseconds */
  tell(mutes, now) {
    this.#told = { ...mutes, at: now };
  }

  /**
   * What others have muted, by the roster's word; null: nothing. A moderator's mute is known by its sign; one of another
   * kind (the same identity by REST) looks like the echo of an older word of one's own until that must have settled.
   *
   * @param {{muted_audio: boolean, muted_video: boolean, operator_muted_audio?: boolean, operator_muted_video?: boolean}} own
   * @param {number} now - milliseconds
   */
  byOthers(own, now) {
    const { audio, video } = this.#told;
    const settled = this.settlesIn(now) === 0;
    const by = {
      audio: audio === false && Boolean(own.operator_muted_audio || (settled && own.muted_audio)),
      video: video === false && Boolean(own.operator_muted_video || (settled && own.muted_video)),
    };
    return by.audio || by.video ? by : null;
  }

  /** Milliseconds until the roster must know one's own last word. @param {number} now - milliseconds */
  settlesIn(now) {
    return Math.max(0, this.#told.at + SETTLE_MS - now);
  }
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
