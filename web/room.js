/**
 * The room page: a lobby, then the call in one picture.
 *
 * @module
 */

import { Devices } from './devices.js';
import { Lobby } from './lobby.js';
import { join } from './mixdown.js';
import { Chat, isHere, Panel, showKnocking, showPeople, StatsPane } from './panel.js';
import { Overlay } from './self.js';
import { bindKeys } from './keys.js';
import { Recorder } from './recorder.js';
import { announce, fillIcons, prefs, roomFromPath, setIcon, toast, token } from './ui.js';

/** A slow camera must not keep the picture of the others waiting. */
const DEVICES_MS = 900;
const STATS_MS = 1000;
/** Every so many of these the server is asked what it sends. */
const FEED_EVERY = 5;
/** Speakers are announced when they have held the floor for a while. */
const SPEAKER_MS = 2500;

const $ = (id) => document.getElementById(id);
const room = roomFromPath();
const devices = new Devices();

/** The call's surface: made once the person has clicked Join. */
class Call {
  #conference = null;
  #overlay = new Overlay({ stage: $('stage'), frame: $('frame'), video: $('composite'), self: $('self'), list: $('tiles') });
  #chat = new Chat();
  #stats = new StatsPane();
  #panel = new Panel(() => this.#buttons());
  #recorder = null;
  #sharing = false;
  /** Whether the browser asks which screen to share. */
  #picking = false;
  #feed = null;
  #measured = 0;
  #speakerTimer = 0;
  #name;

  constructor() {
    const on = (id, action) => $(id).addEventListener('click', () => action().catch(report));
    on('mic', () => this.microphone());
    on('camera', () => this.camera());
    on('screen', () => this.screen());
    on('fullscreen', () => this.fullscreen());
    on('retry', () => this.#conference.reconnect());
    on('copy', () => this.#copy());
    $('chat').addEventListener('click', () => this.#panel.toggle('chat'));
    $('people-button').addEventListener('click', () => this.#panel.toggle('people'));
    $('stats-button').addEventListener('click', () => this.#panel.toggle('stats'));
    $('mirror').addEventListener('click', () => this.mirror());
    $('leave').addEventListener('click', () => this.#conference.leave());
    $('unmute').addEventListener('click', () => this.#sound());
    $('help').addEventListener('click', () => $('shortcuts').showModal());
    $('layout').addEventListener('change', () => this.#choose().catch(report));
    $('pane-people').addEventListener('click', ({ target }) => this.#moderate(target.closest('[data-act]')));
    $('compose').addEventListener('submit', (event) => this.#say(event));
    document.addEventListener('fullscreenchange', () => this.#buttons());
    this.#overlay.enabled = prefs.get('mirror', true);
    $('screen').hidden = !navigator.mediaDevices?.getDisplayMedia;
  }

  /** Joins; rejects when the server refuses. @param {string} name */
  async enter(name) {
    this.#name = name;
    await Promise.race([devices.opened, new Promise((resolve) => setTimeout(resolve, DEVICES_MS))]);
    const media = { audio: devices.microphone, video: devices.camera };
    const conference = await join({ room, name, token: token(), media });
    this.#conference = conference;
    this.#listen(conference);
    this.#recorder = new Recorder(conference, report);
    this.#reveal();
    conference.attach($('composite')).then((sound) => {
      $('unmute').hidden = sound || conference.state === 'closed';
    });
    bindKeys({
      m: () => this.microphone(), v: () => this.camera(), s: () => this.screen(), f: () => this.fullscreen(),
      r: () => conference.may.record && this.#recorder.toggle().catch(report),
      c: () => this.#panel.toggle('chat'), p: () => this.#panel.toggle('people'), i: () => this.#panel.toggle('stats'),
      o: () => this.mirror(), Escape: () => this.#panel.show(null), '?': () => $('shortcuts').showModal(),
    }, (held) => this.#talk(held), () => conference.state !== 'closed');
    const timer = setInterval(() => this.#measure(), STATS_MS);
    conference.addEventListener('state', ({ detail }) => detail.state === 'closed' && clearInterval(timer));
    devices.opened.then(() => this.#late()).catch(report);
  }

  /** Sends devices that were opened after the join, and no longer those that were closed meanwhile. */
  async #late() {
    const conference = this.#conference;
    if (conference.media.camera !== devices.camera) await conference.setCamera(devices.camera);
    if (conference.media.microphone !== devices.microphone) await conference.setMicrophone(devices.microphone);
  }

  /** Opens one device, where it is not open. @param {'camera' | 'microphone'} source @returns whether the call can send it */
  async #open(source) {
    if (devices[source]) return true;
    await devices.open({ camera: source === 'camera', microphone: source === 'microphone' });
    if (this.#conference.state === 'closed') return false;
    if (!devices[source]) toast(devices.problem, 'bad');
    return Boolean(devices[source]);
  }

  async microphone() {
    const conference = this.#conference;
    if (!conference.media.microphone) {
      if (!(await this.#open('microphone'))) return;
      conference.setMuted({ audio: false });
      await conference.setMicrophone(devices.microphone);
    } else {
      conference.setMuted({ audio: !conference.muted.audio });
    }
    prefs.set('microphone-on', !conference.muted.audio);
    announce(conference.muted.audio ? 'Microphone off' : 'Microphone on');
  }

  async camera() {
    const conference = this.#conference;
    if (this.#filmed) {
      const done = conference.setCamera(null);
      devices.close('camera');
      await done;
    } else {
      if (!(await this.#open('camera'))) return;
      conference.setMuted({ video: false });
      await conference.setCamera(devices.camera);
    }
    prefs.set('camera-on', this.#filmed);
    announce(this.#filmed ? 'Camera on' : 'Camera off');
  }

  /** Whether the camera is on, and not hidden by a moderator. */
  get #filmed() {
    const { media, muted } = this.#conference;
    return Boolean(media.camera) && !muted.video;
  }

  async screen() {
    const conference = this.#conference;
    if (this.#picking) return;
    this.#picking = true;
    try {
      await (conference.media.screen ? conference.stopScreen() : conference.shareScreen());
    } catch (error) {
      // The person has closed the browser's dialogue.
      if (error.name !== 'NotAllowedError' && error.name !== 'AbortError') throw error;
    } finally {
      this.#picking = false;
    }
  }

  mirror() {
    this.#overlay.enabled = !this.#overlay.enabled;
    prefs.set('mirror', this.#overlay.enabled);
    this.#media();
    announce(this.#overlay.enabled ? 'Own picture shown at once and mirrored' : 'Own picture shown as others see it');
  }

  async fullscreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await $('room').requestFullscreen?.();
  }

  /** Push to talk. @param {boolean} held @returns whether that has changed anything */
  #talk(held) {
    const { media, muted } = this.#conference;
    if (!media.microphone || muted.audio !== held) return false;
    this.#conference.setMuted({ audio: !held });
    return true;
  }

  #listen(conference) {
    const on = (type, handler) => conference.addEventListener(type, ({ detail }) => handler(detail));
    on('state', (detail) => this.#state(detail));
    on('picture', () => this.#picture());
    on('tiles', ({ tiles }) => this.#overlay.update(tiles, conference.id));
    on('media', () => this.#media());
    on('roster', () => this.#people());
    on('joined', ({ person }) => person.id !== conference.id && this.#entered && isHere(person) && toast(`${person.name} joined`));
    on('left', ({ person }) => isHere(person) && toast(`${person.name} left`));
    on('speaker', ({ participant }) => this.#speaker(participant));
    on('admission', ({ waiting }) => this.#admission(waiting));
    on('waiting', ({ people }) => this.#knocking(people));
    on('transfer', (to) => this.#transfer(to));
    on('moderated', ({ audio }) => toast(audio ? 'A moderator has muted your microphone' : 'A moderator has switched your camera off'));
    on('released', ({ audio }) => toast(audio ? 'A moderator lets you speak again' : 'A moderator lets you show your camera again'));
    on('chat', (message) => this.#heard(message));
    on('error', ({ detail }) => toast(detail, 'bad'));
  }

  /** Those who were there before do not "join". */
  #entered = false;

  #reveal() {
    document.body.className = 'in-room';
    document.title = `${room} · Mixdown`;
    $('lobby').hidden = true;
    $('over').hidden = true;
    for (const id of ['room', 'room-title', 'top-right', 'waiting']) $(id).hidden = false;
    $('room-name').textContent = room;
    $('self-name').textContent = this.#name;
    this.#overlay.fit();
    this.#media();
    this.#layout().catch(() => {});
    announce(`You have joined ${room}`);
    setTimeout(() => { this.#entered = true; }, 1500);
    $('stage').focus({ preventScroll: true });
  }

  #picture() {
    $('waiting').hidden = true;
    this.#overlay.fit();
  }

  #state({ state, error }) {
    $('banner').hidden = state !== 'reconnecting';
    $('banner-text').textContent = state === 'reconnecting' ? 'Connection lost. Reconnecting…' : '';
    if (state === 'connected') announce('Connected');
    if (state === 'closed') this.#over(error);
  }

  #over(error) {
    shut();
    // What the person allows only now has nobody to go to.
    devices.addEventListener('change', shut);
    this.#panel.show(null);
    document.body.className = 'landing';
    for (const id of ['room', 'room-title', 'top-right']) $(id).hidden = true;
    $('over').hidden = false;
    $('over-title').textContent = error ? 'The call has ended.' : 'You have left.';
    $('over-text').textContent = error ? error.message : `The room ${room} goes on without you.`;
    announce($('over-title').textContent);
    $('again').focus();
  }

  #people() {
    const { people, id, speaker } = this.#conference;
    showPeople(people, id, speaker, this.#conference.may.moderate);
    const count = people.filter(isHere).length;
    $('count').textContent = String(count);
    $('count').hidden = count === 0;
  }

  #speaker(participant) {
    this.#people();
    clearTimeout(this.#speakerTimer);
    const person = this.#conference.people.find(({ id }) => id === participant);
    if (!person || participant === this.#conference.id) return;
    this.#speakerTimer = setTimeout(() => announce(`${person.name} is speaking`), SPEAKER_MS);
  }

  #admission(waiting) {
    const text = waiting ? 'The moderators know that you wait. You see and hear the others once they let you in.' : 'You are in. Joining…';
    $('waiting-text').textContent = text;
    $('waiting').hidden = false;
    announce(text);
  }

  /** Who waits to be let in: told once each, listed above the people. */
  #knocking(people) {
    const before = this.#knocked;
    this.#knocked = new Set(people.map(({ id }) => id));
    for (const { id, name } of people) if (!before.has(id)) toast(`${name} waits to be let in`);
    showKnocking(people);
  }

  #knocked = new Set();

  /** The server asks one to go to another room. */
  #transfer({ room: to, token: pass }) {
    try {
      sessionStorage.setItem('mixdown.enter', to);
    } catch {
      // Without storage the room page asks once more.
    }
    this.#conference.leave();
    location.assign(`/r/${encodeURIComponent(to)}${pass ? `#token=${encodeURIComponent(pass)}` : ''}`);
  }

  #heard(message) {
    this.#chat.add(message, this.#panel.open === 'chat');
    this.#buttons();
  }

  #say(event) {
    event.preventDefault();
    const text = $('chat-text').value.trim();
    if (text === '') return;
    if (this.#conference.chat(text)) $('chat-text').value = '';
    else toast('Not sent: the connection is not up yet', 'bad');
  }

  #media() {
    const { media, muted } = this.#conference;
    this.#overlay.show(this.#filmed ? media.camera : null);
    if (this.#sharing !== Boolean(media.screen)) announce(media.screen ? 'You share your screen' : 'Your screen is no longer shared');
    this.#sharing = Boolean(media.screen);
    this.#press('mic', Boolean(media.microphone) && !muted.audio, 'mic', 'mic-off', 'Microphone');
    this.#press('camera', this.#filmed, 'camera', 'camera-off', 'Camera');
    // Its name says what it does next, so that it is no switch.
    $('screen').removeAttribute('aria-pressed');
    $('screen').querySelector('span').textContent = this.#sharing ? 'Stop' : 'Share';
    $('screen').classList.toggle('active', this.#sharing);
    $('self-muted').hidden = Boolean(media.microphone) && !muted.audio;
    this.#buttons();
  }

  /** A switch: its name stays, its state changes. */
  #press(id, on, onIcon, offIcon, name) {
    setIcon($(id), on ? onIcon : offIcon);
    $(id).setAttribute('aria-pressed', String(on));
    $(id).classList.toggle('off', !on);
    $(id).querySelector('span').textContent = name;
  }

  /** The buttons that show what the page itself does. */
  #buttons() {
    const { open } = this.#panel;
    if (open === 'chat') this.#chat.unread = 0;
    const pressed = { chat: open === 'chat', 'people-button': open === 'people', 'stats-button': open === 'stats', mirror: this.#overlay.enabled, fullscreen: Boolean(document.fullscreenElement) };
    for (const [id, on] of Object.entries(pressed)) $(id).setAttribute('aria-pressed', String(on));
    $('unread').textContent = String(this.#chat.unread);
    $('unread').hidden = this.#chat.unread === 0;
  }

  async #measure() {
    const visible = this.#panel.open === 'stats';
    if (visible && this.#measured % FEED_EVERY === 0) {
      this.#conference.describe().then((own) => { this.#feed = own?.feed ?? null; }, () => {});
    }
    this.#measured = visible ? this.#measured + 1 : 0;
    this.#stats.show(await this.#conference.stats(), visible, this.#feed);
  }

  #sound() {
    $('composite').muted = false;
    $('composite').play().catch(() => {});
    $('unmute').hidden = true;
  }

  /** Shows the layout in force to those who may change it. */
  async #layout() {
    if (!this.#conference.may.layout) return;
    const { type } = await this.#conference.layout();
    $('layout').value = type;
    $('layout-label').hidden = $('layout').value !== type;
  }

  async #choose() {
    const text = $('layout').selectedOptions[0].text;
    await this.#conference.setLayout({ type: $('layout').value }).finally(() => this.#layout().catch(() => {}));
    announce(`Layout: ${text}`);
  }

  /** What a moderator does with somebody else. @param {HTMLElement | null} button */
  #moderate(button) {
    const { act, who, name } = button?.dataset ?? {};
    if (act === 'pin') this.#conference.pin(who, button.getAttribute('aria-pressed') !== 'true');
    if (act === 'mute' || act === 'release') this.#conference.mute(who, { audio: act === 'mute' });
    if (act === 'admit' || act === 'deny') this.#conference.admit(who, act === 'admit');
    if (act === 'remove' && confirm(`Remove ${name} from the room?`)) this.#conference.remove(who).catch(report);
  }

  async #copy() {
    await navigator.clipboard.writeText(`${location.origin}/r/${encodeURIComponent(room)}`);
    setIcon($('copy'), 'check');
    toast('Link copied');
    setTimeout(() => setIcon($('copy'), 'link'), 2000);
  }
}

/** Ends what is captured. */
function shut() {
  for (const source of ['camera', 'microphone']) if (devices[source]) devices.close(source);
}

function report(error) {
  toast(error.message, 'bad');
}

/** Whether the join page has just sent the person here. */
function expected() {
  try {
    const note = sessionStorage.getItem('mixdown.enter');
    sessionStorage.removeItem('mixdown.enter');
    return note === room;
  } catch {
    return false;
  }
}

const call = new Call();

/** How often a server that has too much to do is asked again, before the person is. */
const PATIENCE = 5;

/** Enters, also where the server is short of time for a moment. @param {string} name @param {(seconds: number) => void} waits */
async function enter(name, waits) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call.enter(name);
    } catch (error) {
      if (attempt === PATIENCE || !error.problem?.type?.endsWith('/overloaded')) throw error;
      const seconds = Math.max(error.retryAfter ?? 5, 1);
      waits(seconds);
      await new Promise((resolve) => setTimeout(resolve, seconds * (1000 + Math.random() * 500)));
    }
  }
}

function lobby(message) {
  const entrance = new Lobby($('lobby'), {
    room,
    askRoom: false,
    devices,
    join: ({ name }) => enter(name, (seconds) => entrance.wait(seconds)).then(() => entrance.close(), (error) => entrance.fail(error.message)),
  });
  if (message) entrance.fail(message);
}

async function straight() {
  const wanted = { camera: prefs.get('camera-on', true), microphone: prefs.get('microphone-on', true) };
  devices.open(wanted);
  await call.enter(prefs.get('name', '') || 'Guest');
}

fillIcons();
document.title = `${room} · Mixdown`;
$('again').addEventListener('click', () => location.reload());
addEventListener('pageshow', (event) => event.persisted && location.reload());
if (expected()) straight().catch((error) => lobby(error.message));
else lobby();
