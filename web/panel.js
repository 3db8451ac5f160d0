/**
 * The side panel of a room: chat, people, connection.
 *
 * @module
 */

import { announce, el, hue, icon, initials } from './ui.js';

const TABS = ['chat', 'people', 'stats'];

/** Which pane is open. Tabs follow the ARIA pattern: arrows move, the panel is labelled by its tab. */
export class Panel {
  /** @type {'chat' | 'people' | 'stats' | null} */
  open = null;
  #changed;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    for (const [index, name] of TABS.entries()) {
      const tab = this.#tab(name);
      tab.addEventListener('click', () => this.show(name));
      tab.addEventListener('keydown', ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (!step) return;
        const next = TABS[(index + step + TABS.length) % TABS.length];
        this.show(next);
        this.#tab(next).focus();
      });
    }
    document.getElementById('panel-close').addEventListener('click', () => this.show(null));
  }

  /** @param {'chat' | 'people' | 'stats'} name */
  toggle(name) {
    this.show(this.open === name ? null : name);
  }

  /** @param {'chat' | 'people' | 'stats' | null} name */
  show(name) {
    const panel = document.getElementById('panel');
    const inside = panel.contains(document.activeElement);
    this.open = name;
    panel.hidden = name === null;
    document.body.classList.toggle('with-panel', name !== null);
    for (const each of TABS) {
      const tab = this.#tab(each);
      tab.setAttribute('aria-selected', String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
      document.getElementById(`pane-${each}`).hidden = each !== name;
    }
    if (name === 'chat') {
      // What came while it was hidden could not be scrolled to.
      const log = document.getElementById('messages');
      log.scrollTop = log.scrollHeight;
      document.getElementById('chat-text').focus({ preventScroll: true });
    }
    // Keys typed next must not go into what is no longer seen.
    if (name === null && inside) document.getElementById('stage').focus({ preventScroll: true });
    this.#changed();
  }

  #tab(name) {
    return document.getElementById(`tab-${name}`);
  }
}

/** What a moderator may do with somebody: `act` is read where the list is. */
function tool(act, sign, { id, name }, text, pressed) {
  const state = pressed === undefined ? {} : { 'aria-pressed': String(pressed) };
  return el('button', { type: 'button', class: `pin${pressed ? ' on' : ''}${act === 'mute' || act === 'release' ? ' steady' : ''}`, 'data-act': act, 'data-who': id, 'data-name': name, ...state, 'aria-label': text, title: text }, icon(sign));
}

function tools(person, own) {
  const { name, pinned = false } = person;
  const others = person.id !== own;
  return [
    tool('pin', 'pin', person, pinned ? `Let go of ${name}` : `Keep ${name} in the picture`, pinned),
    others && tool('remove', 'close', person, `Remove ${name}`),
  ];
}

/** A mute by a moderator holds until one takes it back; then it is the person's own microphone again, and still off. */
function microphoneTool(person) {
  return person.operator_muted_audio ? tool('release', 'mic-off', person, `Let ${person.name} speak again`) : tool('mute', 'mic', person, `Mute ${person.name}`);
}

const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]]/g;

/** Text with its web addresses as links; nothing in it is ever read as markup. @param {string} text */
function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push(text.slice(end, match.index));
    parts.push(el('a', { href: match[0], target: '_blank', rel: 'noopener noreferrer nofollow' }, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

const KEPT_MESSAGES = 500;

export class Chat {
  unread = 0;
  #list = document.getElementById('messages');
  #last = { name: null, at: 0 };

  constructor() {
    this.#list.append(el('p', { class: 'empty' }, 'Messages reach everybody in the room. Who comes later sees the last ones.'));
  }

  /**
   * @param {{name: string, text: string, at: Date, own: boolean, past: boolean}} message
   * @param {boolean} seen
   */
  add({ name, text, at, own, past }, seen) {
    this.#list.querySelector('.empty')?.remove();
    const follows = this.#last.name === name && at.getTime() - this.#last.at < 120_000;
    this.#last = { name, at: at.getTime() };
    const time = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    const head = el('p', { class: 'message-head' }, el('strong', {}, own ? 'You' : name || 'The room'), el('time', {}, time));
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 60;
    this.#list.append(el('div', { class: `message${own ? ' own' : ''}` }, !follows && head, el('p', { class: 'bubble' }, ...linked(text))));
    while (this.#list.childElementCount > KEPT_MESSAGES) this.#list.firstElementChild.remove();
    if (atEnd || own) this.#list.scrollTop = this.#list.scrollHeight;
    if (seen || past) return;
    this.unread += own ? 0 : 1;
    // The log itself is out of sight and therefore silent.
    if (!own) announce(`${name}: ${text}`);
  }
}

/** Viewers watch from outside: they are counted, not named. @param {import('./mixdown.js').Person} person */
export const isHere = (person) => person.kind !== 'viewer';

/**
 * @param {import('./mixdown.js').Person[]} people
 * @param {string | null} own
 * @param {string | null} speaker
 * @param {boolean} moderator - whether this person may pin, mute and remove others
 */
export function showPeople(people, own, speaker, moderator) {
  const watching = people.length - people.filter(isHere).length;
  const order = people.filter(isHere).sort((a, b) => (b.id === own) - (a.id === own) || a.name.localeCompare(b.name));
  const list = document.getElementById('people');
  const { act, who } = list.contains(document.activeElement) ? document.activeElement.dataset : {};
  list.replaceChildren(
    ...order.map((person) => {
      const notes = [
        person.id === own && 'you',
        person.role,
        person.id === speaker && 'speaking',
        person.screen && 'sharing a screen',
      ].filter(Boolean);
      const seen = !person.muted_video && person.camera !== false;
      const sign = (name, on, text) => el('span', { class: on ? 'sign' : 'sign off', role: 'img', 'aria-label': text, title: text }, icon(name));
      return el(
        'li',
        { class: person.id === speaker ? 'speaking' : '' },
        el('span', { class: `dot ${hue(person.name)}`, 'aria-hidden': 'true' }, initials(person.name)),
        el('span', { class: 'who' }, el('strong', {}, person.name), notes.length > 0 && el('small', {}, notes.join(' · '))),
        ...(moderator ? tools(person, own) : [person.pinned && el('span', { class: 'sign', role: 'img', 'aria-label': 'pinned', title: 'pinned' }, icon('pin'))]),
        moderator && person.id !== own && (person.operator_muted_audio || !person.muted_audio)
          ? microphoneTool(person)
          : sign(person.muted_audio ? 'mic-off' : 'mic', !person.muted_audio, person.muted_audio ? 'microphone off' : 'microphone on'),
        sign(seen ? 'camera' : 'camera-off', seen, seen ? 'camera on' : 'camera off'),
      );
    }),
    ...(watching > 0 ? [el('li', { class: 'watching' }, `${watching} watching`)] : []),
  );
  // The list is drawn anew at every change; the focus stays where it was.
  if (act) list.querySelector(`[data-act="${act}"][data-who="${CSS.escape(who)}"]`)?.focus({ preventScroll: true });
}

/** Who waits to be let in, for moderators. @param {{id: string, name: string}[]} people */
export function showKnocking(people) {
  const list = document.getElementById('knocking');
  const button = (act, text, { id, name }) => el('button', { type: 'button', class: 'quiet', 'data-act': act, 'data-who': id, 'aria-label': `${text} ${name}` }, text);
  list.hidden = people.length === 0;
  list.replaceChildren(
    ...people.map((person) => el('li', {}, el('span', { class: 'who' }, el('strong', {}, person.name), el('small', {}, 'waits to be let in')), button('admit', 'Let in', person), button('deny', 'Turn away', person))),
  );
}

const rate = (bps) => (bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mb/s` : `${Math.round(bps / 1000)} kb/s`);
const percent = (share) => (share === null ? '–' : `${Number((share * 100).toFixed(share < 0.1 ? 1 : 0))} %`);
const time = (ms) => (ms === null || ms === undefined ? '–' : `${Math.round(ms)} ms`);
const picture = (s) => (s.width ? `${s.width}×${s.height}, ${Math.round(s.fps ?? 0)} fps` : '–');

/**
 * How good a connection is, by its worst figure. Of a picture that rests few frames are sent however good the link: what
 * the link is worth says the rate that the server has chosen for it.
 *
 * @param {import('./stats.js').Stats} stats
 * @param {{fps?: number} | null} [feed] - the server's account of what it sends; `fps` 0: stills
 */
export function quality({ video, audio, rtt_ms }, feed = null) {
  const loss = Math.max(video?.loss ?? 0, audio?.loss ?? 0);
  const rtt = rtt_ms ?? 0;
  const fps = feed?.fps ?? 30;
  if (!video && !audio) return { level: 0, text: 'Nothing arrives' };
  if (loss > 0.08 || rtt > 600 || fps < 8) return { level: 1, text: 'Poor' };
  if (loss > 0.02 || rtt > 250 || fps < 15) return { level: 2, text: 'Fair' };
  return { level: 3, text: 'Good' };
}

const HISTORY = 60;

/** The connection panel; keeps a minute of bitrate for its curve. */
export class StatsPane {
  #root = document.getElementById('stats');
  #history = [];

  /**
   * @param {import('./stats.js').Stats | null} stats
   * @param {boolean} visible
   * @param {{fps?: number} | null} [feed] - the server's account of what it sends
   */
  show(stats, visible, feed = null) {
    if (!stats) return;
    this.#history.push((stats.video?.bitrate_bps ?? 0) + (stats.audio?.bitrate_bps ?? 0));
    if (this.#history.length > HISTORY) this.#history.shift();
    if (!visible) return;
    const { video, audio, camera, microphone, screen } = stats;
    const { level, text } = quality(stats, feed);
    this.#root.replaceChildren(
      el('div', { class: `quality q${level}` }, el('span', { class: 'bars', 'aria-hidden': 'true' }, el('i'), el('i'), el('i')), el('strong', {}, text)),
      this.#curve(),
      ...this.#group('Picture you receive', video && {
        Codec: video.codec ?? '–', Size: picture(video), Bitrate: rate(video.bitrate_bps), Loss: percent(video.loss),
        Jitter: time(video.jitter_ms), Buffer: time(video.buffer_ms),
        Freezes: video.freezes > 0 ? `${video.freezes} (${(video.frozen_ms / 1000).toFixed(1)} s)` : 'none',
      }),
      ...this.#group('Sound you receive', audio && {
        Codec: audio.codec ?? '–', Bitrate: rate(audio.bitrate_bps), Loss: percent(audio.loss),
        Jitter: time(audio.jitter_ms), Buffer: time(audio.buffer_ms), Concealed: percent(audio.concealed),
      }),
      ...this.#group('Camera you send', camera && this.#up(camera)),
      ...this.#group('Microphone you send', microphone && { Codec: microphone.codec ?? '–', Bitrate: rate(microphone.bitrate_bps), Loss: percent(microphone.loss) }),
      ...this.#group('Screen you send', screen && this.#up(screen)),
      ...this.#group('Path', { 'Round trip': time(stats.rtt_ms), Transport: stats.transport ?? '–' }),
    );
  }

  #up(track) {
    return { Codec: track.codec ?? '–', Size: picture(track), Bitrate: rate(track.bitrate_bps), Loss: percent(track.loss) };
  }

  #group(title, rows) {
    if (!rows) return [];
    const pairs = Object.entries(rows).map(([key, value]) => el('div', {}, el('dt', {}, key), el('dd', {}, value)));
    return [el('h2', {}, title), el('dl', {}, ...pairs)];
  }

  #curve() {
    const namespace = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(namespace, 'svg');
    const top = Math.max(...this.#history, 100_000);
    const points = this.#history.map((bps, index) => `${index + HISTORY - this.#history.length},${(24 - (bps / top) * 22).toFixed(1)}`);
    svg.setAttribute('viewBox', `0 0 ${HISTORY - 1} 25`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('class', 'curve');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', `Bitrate of the last minute, now ${rate(this.#history.at(-1))}`);
    const line = document.createElementNS(namespace, 'polyline');
    line.setAttribute('points', points.join(' '));
    svg.append(line);
    return svg;
  }
}
