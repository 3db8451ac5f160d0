/**
 * The messages of the data channel, as they come down: what each does to a conference. mixdown.js has the list.
 *
 * @module
 */

import { MixdownError } from './session.js';

/** Status of an `error` message after which a new session would only repeat what was refused. */
export const GONE = 410;

/** One message; what cannot be read or is not known is passed over. @param {import('./mixdown.js').Conference} conference @param {string} data */
export function receive(conference, data) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return;
  }
  if (Object.hasOwn(HANDLERS, message?.type)) HANDLERS[message.type](conference, message);
}

/** What each message from the server does. @type {Record<string, (conference: import('./mixdown.js').Conference, message: any) => void>} */
const HANDLERS = {
  hello(conference, message) {
    conference.id = message.participant ?? conference.id;
    const waiting = Boolean(message.waiting);
    if (waiting !== conference.waiting) conference.emit('admission', { waiting: (conference.waiting = waiting) });
    conference.emit('hello', message);
  },
  roster(conference, message) {
    conference.enter(message.participants.map((person) => ({ muted_audio: false, muted_video: false, ...person })));
  },
  tiles(conference, message) {
    conference.clock.push(message, performance.now());
  },
  waiting(conference, { participants }) {
    conference.emit('waiting', { people: participants });
  },
  transfer(conference, { room, token = null }) {
    conference.emit('transfer', { room, token });
  },
  speaker(conference, { participant = null }) {
    conference.speaker = participant;
    conference.emit('speaker', { participant });
  },
  recording(conference, { active, recordings = [] }) {
    Object.assign(conference, { recording: Boolean(active), recordings });
    conference.emit('recording', { active: conference.recording, recordings });
  },
  chat(conference, { participant = null, name = '', text = '', at, history = false }) {
    const own = participant !== null && participant === conference.id;
    if (!conference.hearing.take({ participant, text, at })) return;
    conference.emit('chat', { participant, name, text, at: at ? new Date(at) : new Date(), own, past: history });
  },
  error(conference, { status = 0, detail = 'the server reports an error' }) {
    conference.emit('error', { status, detail });
    if (status === 403) conference.moderated();
    if (status === GONE) conference.line.close(new MixdownError(`${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`, status));
  },
};
