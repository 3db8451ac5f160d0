/**
 * Mixdown for web pages: join a conference with a few lines, without any dependency.
 *
 *     import { join } from '/web/mixdown.js';
 *
 *     const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
 *     const conference = await join({ room: 'demo', name: 'Ann', media });
 *     conference.attach(document.querySelector('video'));        // one picture and one sound: everybody
 *     conference.addEventListener('tiles', ({ detail }) => …);   // who is where in it, in step with the picture
 *     conference.setMuted({ audio: true });
 *     await conference.shareScreen();
 *     conference.chat('hello');
 *     conference.leave();
 *
 * It reconnects by itself: an ICE restart first, then a new session with the same name, tracks and mutes.
 * `watch` plays a room without joining it (WHEP).
 *
 * Messages of the data channel `mixdown`, JSON texts. Down:
 *
 *     {"type":"hello","participant":"pt_…","room":"demo","name":"Ann","view":"main","waiting":false}   waiting: nothing else comes before one is let in
 *     {"type":"roster","participants":[{"id","name","kind","role","muted_audio","muted_video","camera","screen","pinned","speaking"}]}   everybody, on every change
 *     {"type":"waiting","participants":[{"id","name"}]}   who waits to be let in, for those who may
 *     {"type":"transfer","room":"other","token":"…" | null}   one is asked to go to another room
 *     {"type":"tiles","rtp_timestamp","width","height","tiles":[{"participant","name","source","x","y","width","height","speaking","muted"}]}
 *     {"type":"speaker","participant":"pt_…"}
 *     {"type":"recording","active":true,"recordings":[{"id","view","state"}]}
 *     {"type":"chat","participant":"pt_…" | null,"name":"Ann","text":"…","at":"2026-01-01T12:00:00Z"}   own ones come back too
 *     {"type":"error","status":422,"detail":"…"}   a message was refused; 410: the session was ended for good
 *
 * Up:
 *
 *     {"type":"chat","text":"…"}   {"type":"mute","audio":true,"video":false}   {"type":"pin","participant":"pt_…","pinned":true}
 *     {"type":"view","view":"main"}   {"type":"hint","width":1280,"height":720,"hidden":false,"save_data":false}   {"type":"admit","participant":"pt_…"}   {"type":"deny","participant":"pt_…"}
 *
 * @module
 */

import { GONE, receive } from './channel.js';
import { Hints } from './hints.js';
import { endpoint, Live, Player } from './live.js';
import { finalWord, granted, Hearing, letGo, Mutes } from './moderation.js';
import { MixdownError, request } from './session.js';
import { LAYERS, prefer, turn } from './transceivers.js';

export { MixdownError, Player };

/**
 * @typedef {object} JoinOptions
 * @property {string} room
 * @property {string} [url] - the server; default: where the page comes from
 * @property {string} [name]
 * @property {string} [view] - default `main`
 * @property {string} [token] - bearer token
 * @property {MediaStream | {audio?: MediaStreamTrack | null, video?: MediaStreamTrack | null}} [media] - none: watch and listen
 * @property {{audio?: boolean, video?: boolean}} [muted]
 * @property {boolean} [simulcast] - send the camera in three sizes
 * @property {string} [videoCodec] - preferred, such as `VP8` or `H264`
 * @property {number} [maxBitrate] - of the camera, bits per second
 * @property {RTCDegradationPreference} [degradationPreference] - of the camera
 * @property {RTCIceServer[]} [iceServers] - default: those that the server hands out
 * @property {RTCIceTransportPolicy} [iceTransportPolicy]
 */

/**
 * @typedef {object} Person
 * @property {string} id
 * @property {string} name
 * @property {string} [kind]
 * @property {string | null} [role]
 * @property {boolean} muted_audio
 * @property {boolean} muted_video
 * @property {boolean} [operator_muted_audio] - by a moderator, who alone can take it back
 * @property {boolean} [operator_muted_video]
 * @property {boolean} [camera] - whether a camera is sent
 * @property {boolean} [screen]
 * @property {boolean} [speaking]
 */

/**
 * Joins a room. Resolves when the server has accepted; the event `state` tells when media flow.
 *
 * @param {JoinOptions} options
 * @returns {Promise<Conference>}
 * @throws {MixdownError} when the server refuses or cannot be reached
 */
export async function join(options) {
  const conference = new Conference(options);
  await conference.line.open();
  return conference;
}

/**
 * Plays a room without joining it.
 *
 * @param {{room: string, url?: string, view?: string, name?: string, token?: string, iceServers?: RTCIceServer[], iceTransportPolicy?: RTCIceTransportPolicy}} options
 * @returns {Promise<Player>}
 */
export async function watch(options) {
  const player = new Player(options);
  await player.line.open();
  return player;
}

/** Ends captures. @param {...(MediaStreamTrack | null)} tracks */
function stop(...tracks) {
  for (const track of tracks) track?.stop();
}

/**
 * One participant's connection to a room.
 *
 * Events, all CustomEvents, with their `detail`:
 * `state` {state, error} · `picture` {width, height} · `hello` · `tiles` {width, height, tiles} · `roster` {people} ·
 * `joined` {person} · `left` {person} · `speaker` {participant} · `chat` {participant, name, text, at, own, past} (`past`: said
 * before one came) · `moderated` {audio, video} (somebody else has muted this) · `released` {audio, video} (a moderator's mute of this is taken back) · `admission` {waiting} (one waits to be let in, or
 * no longer) · `waiting` {people} (who waits, for moderators) · `transfer` {room, token} · `recording` {active, recordings} ·
 * `error` {status, detail} · `media` {camera, microphone, screen} (what is sent has changed).
 */
export class Conference extends Live {
  /** Own participant id; null until the answer has come. @type {string | null} */
  id = null;
  /** @type {Person[]} */
  people = [];
  /** The tile map of the picture on the screen. @type {import('./tiles.js').TileMap | null} */
  tiles = null;
  /** Id of the active speaker. @type {string | null} */
  speaker = null;
  recording = false;
  /** Those that have not ended. @type {{id: string, view: string, state: string}[]} */
  recordings = [];
  /** Whether one waits to be let in. */
  waiting = false;
  muted = { audio: false, video: false };
  #options;
  #name;
  #media = { microphone: null, camera: null, screen: null, screenAudio: null };
  #lines = null;
  #channel = null;
  #hints = new Hints((hint) => this.#send(hint));
  #view;
  #mutes = new Mutes();
  #settling;
  /** @internal */ hearing = new Hearing();

  /** Use {@link join}. @param {JoinOptions} options */
  constructor(options) {
    const query = { name: options.name, view: options.view };
    super(options, endpoint(`/v1/rooms/${encodeURIComponent(options.room)}/participants`, options, query));
    this.#options = options;
    this.#name = options.name;
    this.#view = options.view;
    Object.assign(this.muted, options.muted);
    const { media } = options;
    const [audio, video] = media?.getTracks ? [media.getAudioTracks()[0], media.getVideoTracks()[0]] : [media?.audio, media?.video];
    this.#keep('microphone', audio ?? null);
    this.#keep('camera', video ?? null);
    this.addEventListener('state', ({ detail }) => {
      if (detail.state === 'connected') this.#lines.session.propose().catch(() => {});
      if (detail.state === 'closed') this.#end();
    });
  }

  /** What is being sent. */
  get media() {
    const { microphone, camera, screen } = this.#media;
    return { microphone, camera, screen };
  }

  /** Sends this camera from now on; null: none. The caller stops its tracks. @param {MediaStreamTrack | null} track */
  async setCamera(track) {
    this.#keep('camera', track);
    await this.#apply();
  }

  /** Sends this microphone from now on; null: none. @param {MediaStreamTrack | null} track */
  async setMicrophone(track) {
    this.#keep('microphone', track);
    await this.#apply();
  }

  /**
   * Mutes without a new negotiation; what is not named stays. Everybody sees that one is muted.
   *
   * @param {{audio?: boolean, video?: boolean}} muted
   */
  setMuted(muted) {
    Object.assign(this.muted, muted);
    this.#sync();
    this.#tellMutes();
    this.#changed();
  }

  /**
   * Adds a screen beside the camera.
   *
   * @param {MediaStream} [stream] - default: asks the user
   */
  async shareScreen(stream) {
    const shared = stream ?? (await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 30 } }, audio: true }));
    // The browser's dialogue may be answered after the call.
    if (this.state === 'closed') return stop(...shared.getTracks());
    const [video] = shared.getVideoTracks();
    if ('contentHint' in video) video.contentHint = 'detail';
    this.#keep('screen', video);
    this.#keep('screenAudio', shared.getAudioTracks()[0] ?? null);
    await this.#apply();
  }

  /** Takes the screen away again and ends its capture. */
  async stopScreen() {
    stop(this.#media.screen, this.#media.screenAudio);
    this.#keep('screen', null);
    this.#keep('screenAudio', null);
    await this.#apply();
  }

  /** @param {string} text @returns {boolean} whether it was sent */
  chat(text) {
    return this.#send({ type: 'chat', text });
  }

  /** Keeps somebody in the picture, for everybody. @param {string} participant @param {boolean} [pinned] */
  pin(participant, pinned = true) {
    return this.#send({ type: 'pin', participant, pinned });
  }

  /**
   * Mutes somebody else; nobody's microphone is opened by others.
   *
   * @param {string} participant
   * @param {{audio?: true, video?: true}} [what]
   */
  mute(participant, what = { audio: true }) {
    return this.#send({ type: 'mute', participant, ...what });
  }

  /** Lets somebody in who waits, or turns them away. @param {string} participant @param {boolean} [welcome] */
  admit(participant, welcome = true) {
    return this.#send({ type: welcome ? 'admit' : 'deny', participant });
  }

  /** Removes somebody from the room. @param {string} participant */
  async remove(participant) {
    await this.#rest('DELETE', `${this.#path}/participants/${encodeURIComponent(participant)}`);
  }

  /** Begins to record the view that is received; the message `recording` tells of it. */
  async record() {
    return (await this.#rest('POST', `${this.#path}/recordings`, { view: this.#view ?? 'main' })).json();
  }

  /** Ends a recording of the room. @param {string} id */
  async stopRecording(id) {
    await this.#rest('POST', `/v1/recordings/${encodeURIComponent(id)}/stop`);
  }

  /** What of oneself goes into recordings. @param {'allow' | 'avatar' | 'audio_only' | 'deny'} consent */
  async setConsent(consent) {
    await this.line.session?.resource('PATCH', { recording: consent });
  }

  /** What the token lets one do. The server decides; pages use it to leave out what would be refused. */
  get may() {
    const grants = this.#options.token ? granted(this.#options.token) : { admin: true };
    const may = (grant) => grants.admin === true || grants[grant] === true;
    return { moderate: may('admin'), layout: may('layout'), record: may('record') };
  }

  /** Changes over to another view of the room. @param {string} view */
  setView(view) {
    this.#view = view;
    return this.#send({ type: 'view', view });
  }

  /** The layout of the view that is received, such as {type: 'grid', …}; see docs/api.md. */
  async layout() {
    return (await this.#layout('GET')).json();
  }

  /**
   * Changes the layout for everybody on this view.
   *
   * @param {object} changes - merge-patch, such as {type: 'speaker'}
   */
  async setLayout(changes) {
    return (await this.#layout('PATCH', changes)).json();
  }

  #layout(method, changes) {
    return this.#rest(method, `${this.#path}/views/${encodeURIComponent(this.#view ?? 'main')}/layout`, changes);
  }

  get #path() {
    return `/v1/rooms/${encodeURIComponent(this.#options.room)}`;
  }

  #rest(method, path, body) {
    const { url, token } = this.#options;
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { 'Content-Type': type }) };
    return request(endpoint(path, { url }, {}), { method, headers, body: body && JSON.stringify(body) });
  }

  /** @param {string} name */
  async setName(name) {
    this.#name = name;
    await this.line.session?.resource('PATCH', { name });
  }

  /** The server's account of this participant: state, tracks, feed, loss, rtt; null without a session. */
  async describe() {
    return (await this.line.session?.resource('GET')) ?? null;
  }

  /** @protected */
  prepare(session) {
    const { pc } = session;
    session.endpoint.searchParams.set('name', this.#name ?? '');
    if (this.#view) session.endpoint.searchParams.set('view', this.#view);
    if (!this.#name) session.endpoint.searchParams.delete('name');
    const direction = (track) => (track ? 'sendrecv' : 'recvonly');
    const { camera, microphone } = this.#media;
    const { simulcast, maxBitrate, videoCodec } = this.#options;
    const encodings = simulcast ? LAYERS.map((layer) => ({ ...layer })) : [maxBitrate ? { maxBitrate } : {}];
    const audio = pc.addTransceiver('audio', { direction: direction(microphone) });
    const video = pc.addTransceiver('video', { direction: direction(camera), sendEncodings: encodings });
    prefer(video, videoCodec);
    const lines = { session, audio, video, screen: null, screenAudio: null };
    this.#lines = lines;
    session.slides = () => [lines.screen?.mid, lines.screenAudio?.mid].filter((mid) => typeof mid === 'string');
    this.#sync();
    this.#listen(pc.createDataChannel('mixdown', { ordered: true }));
  }

  /** @protected */
  opened(session) {
    this.id = session.location.pathname.split('/').pop();
    this.#degradation();
    this.#apply().catch(() => {});
  }

  /** @protected Whether the server has ended the session for good: it says so for a while. */
  async verdict(session) {
    const word = finalWord(await session?.resource('GET').catch(() => null));
    return word && new MixdownError(word, GONE);
  }

  /** @protected */
  sourceOf(mid, kind) {
    const lines = this.#lines;
    if (mid === undefined || mid === null) return kind === 'audio' ? 'microphone' : 'camera';
    if (mid === lines?.audio.mid) return 'microphone';
    if (mid === lines?.video.mid) return 'camera';
    if (mid === lines?.screen?.mid) return 'screen';
    return mid === lines?.screenAudio?.mid ? 'screen-audio' : null;
  }

  /** @protected */
  tilesShown(map) {
    this.tiles = map;
    this.emit('tiles', map);
  }

  /** @protected */
  shownAt(width, height) {
    this.#hints.shownAt(width, height);
  }

  #keep(source, track) {
    this.#media[source] = track;
    track?.addEventListener('ended', () => this.#ended(source, track), { once: true });
  }

  /** A device was unplugged, or the browser's own button ended the screen. */
  #ended(source, track) {
    if (this.#media[source] !== track || this.state === 'closed') return;
    const done = source === 'screen' ? this.stopScreen() : (this.#keep(source, null), this.#apply());
    done.catch(() => {});
  }

  /** Brings the connection in line with what shall be sent; offers again where m-lines change. */
  async #apply() {
    const lines = this.#lines;
    const changed = this.#sync();
    this.#tellMutes();
    this.#changed();
    // Before the first answer nothing can be offered again: `opened` comes back to it.
    await lines?.session.propose(changed);
  }

  /** What is captured for the call does not outlive it; camera and microphone are the caller's. */
  #end() {
    this.#hints.stop();
    clearTimeout(this.#settling);
    stop(this.#media.screen, this.#media.screenAudio);
  }

  /** @returns whether an m-line was added or has changed its direction */
  #sync() {
    const lines = this.#lines;
    if (!lines || lines.session.closed) return false;
    const { microphone, camera, screen, screenAudio } = this.#media;
    if (microphone) microphone.enabled = !this.muted.audio;
    let changed = turn(lines.audio, microphone, microphone ? 'sendrecv' : 'recvonly');
    changed = turn(lines.video, this.muted.video ? null : camera, camera ? 'sendrecv' : 'recvonly') || changed;
    changed = this.#screenLine('screen', 'video', screen) || changed;
    return this.#screenLine('screenAudio', 'audio', screenAudio) || changed;
  }

  /** A screen's m-line is kept for the next screen: sections of a description are never taken away. */
  #screenLine(key, kind, track) {
    const lines = this.#lines;
    if (lines[key]) return turn(lines[key], track, track ? 'sendonly' : 'inactive');
    if (!track) return false;
    const encodings = kind === 'video' ? { sendEncodings: [{ maxBitrate: 2_500_000 }] } : {};
    lines[key] = lines.session.pc.addTransceiver(track, { direction: 'sendonly', ...encodings });
    if (kind === 'video') prefer(lines[key], this.#options.videoCodec);
    return true;
  }

  #degradation() {
    const { degradationPreference } = this.#options;
    const sender = this.#lines.video.sender;
    if (!degradationPreference) return;
    sender.setParameters({ ...sender.getParameters(), degradationPreference }).catch(() => {});
  }

  #changed() {
    this.emit('media', this.media);
  }

  #listen(channel) {
    this.#channel = channel;
    channel.addEventListener('open', () => {
      this.#tellMutes();
      this.#hints.repeat();
    });
    channel.addEventListener('message', ({ data }) => receive(this, data));
    channel.addEventListener('close', () => {
      // The server has ended the session: nothing of it can be restarted.
      if (this.#channel === channel && !this.#lines.session.closed) this.line.lost(true);
    });
  }

  #send(message) {
    if (this.#channel?.readyState !== 'open') return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  #tellMutes() {
    const { camera, microphone } = this.#media;
    const told = { audio: this.muted.audio || !microphone, video: this.muted.video || !camera };
    this.#mutes.tell(told);
    this.#send({ type: 'mute', ...told });
  }

  /**
   * Somebody else has muted one: so it is, until one says otherwise.
   *
   * @internal
   */
  moderated() {
    if (this.state === 'closed') return;
    const own = this.people.find(({ id }) => id === this.id);
    const now = performance.now();
    const by = own && this.#mutes.byOthers(own, now);
    clearTimeout(this.#settling);
    const wait = this.#mutes.settlesIn(now);
    // No further roster may come: this one is looked at again once it cannot be an older word.
    if (wait) this.#settling = setTimeout(() => this.moderated(), wait);
    if (!by) return;
    this.muted = { audio: this.muted.audio || by.audio, video: this.muted.video || by.video };
    this.#sync();
    this.#tellMutes();
    this.#changed();
    this.emit('moderated', by);
  }

  /** @internal */
  enter(people) {
    const own = people.find(({ id }) => id === this.id);
    const released = letGo(this.people.find(({ id }) => id === this.id), own);
    const before = new Map(this.people.map((person) => [person.id, person]));
    this.people = people;
    this.emit('roster', { people });
    for (const person of people) if (!before.delete(person.id)) this.emit('joined', { person });
    for (const person of before.values()) this.emit('left', { person });
    if (own) this.#mutes.hear(own, performance.now());
    this.moderated();
    if (released) this.emit('released', released);
  }
}
