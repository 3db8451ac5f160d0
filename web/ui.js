/**
 * The few things that all pages need to build their surface: elements, icons, stored preferences, spoken notices.
 *
 * @module
 */

const SVG = 'http://www.w3.org/2000/svg';

/** Outlines on a 24 × 24 grid. */
const ICONS = {
  mic: 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21',
  'mic-off': 'M15 10.5V6a3 3 0 0 0-5.8-1M9 9v2a3 3 0 0 0 4.6 2.5M5.5 11a6.5 6.5 0 0 0 10.2 5.3M18.5 11a6.4 6.4 0 0 1-.7 3M12 17.5V21M4 3.5l16.5 17',
  camera: 'M4.5 6.5h8a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-8a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2ZM14.5 10.7l5.4-3.1a1 1 0 0 1 1.6.9v7a1 1 0 0 1-1.6.9l-5.4-3.1',
  'camera-off': 'M8.5 6.5h4a2 2 0 0 1 2 2v4M14 16.7a2 2 0 0 1-1.5.8h-8a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.6-2M14.5 10.7l5.4-3.1a1 1 0 0 1 1.6.9v7a1 1 0 0 1-1.2 1M3 3l17.5 18',
  screen: 'M3.5 4.5h17a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1h-17a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1ZM8 20.5h8M12 13.5V8M9.5 10.2 12 7.7l2.5 2.5',
  chat: 'M4.5 4.5h15a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H11l-4.5 4v-4h-2A1.5 1.5 0 0 1 3 15V6a1.5 1.5 0 0 1 1.5-1.5ZM7.5 9h9M7.5 12.5h6',
  people: 'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.5c0-3 2.9-5 6.5-5s6.5 2 6.5 5M16 4.8a3.3 3.3 0 0 1 0 6.4M18 14.9c2.1.7 3.5 2.3 3.5 4.6',
  pulse: 'M3 12.5h3.5l2.5-7 4.5 13 2.7-6H21',
  leave: 'M3.2 14.2c-.6-1.2-.5-2.4.5-3.2 4.8-3.8 11.8-3.8 16.6 0 1 .8 1.1 2 .5 3.2l-.6 1.2a1.3 1.3 0 0 1-1.7.6l-2.7-1.2a1.3 1.3 0 0 1-.8-1.4l.2-1.7a10 10 0 0 0-6.4 0l.2 1.7a1.3 1.3 0 0 1-.8 1.4L5.5 16a1.3 1.3 0 0 1-1.7-.6Z',
  close: 'M6 6l12 12M18 6 6 18',
  help: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.5 9.5a2.5 2.5 0 1 1 3.7 2.2c-.8.5-1.2 1-1.2 2M12 16.8v.2',
  mirror: 'M12 3v18M8.5 7 3.5 17h5ZM15.5 7l5 10h-5Z',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1',
  full: 'M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4',
  send: 'M4 12 20 4.5 15.5 20l-4-6Zm0 0 7.5 2L20 4.5',
  sound: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5ZM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
  'sound-off': 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5ZM16 9.5l5 5M21 9.5l-5 5',
  pin: 'M9 3.5h6l-.8 6.2 3.3 3.3v1.5h-11V13l3.3-3.3ZM12 14.5V21',
  record: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 15.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Z',
  check: 'M5 12.5l4.5 4.5L19 7.5',
};

/**
 * Makes an element. Props that begin with `on` are listeners, `class`, `data-*`, `aria-*` and `role` are attributes,
 * everything else is a property.
 *
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined | false)} children
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'class' || key === 'role' || key === 'for' || /^(aria|data)-/.test(key)) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * A table: its heads, and the `tbody` that its rows come into.
 *
 * @param {string[]} heads
 * @param {HTMLElement} body
 * @param {Record<string, any>} [props] - of the table; `label`: its caption
 */
export function table(heads, body, { label, ...props } = {}) {
  const head = el('tr', {}, ...heads.map((text) => el('th', { scope: 'col' }, text)));
  return el('table', props, label && el('caption', {}, label), el('thead', {}, head), body);
}

/** An outline drawing for sighted users; its button carries the name. @param {keyof typeof ICONS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** Puts icons into the elements that ask for one by `data-icon`. @param {ParentNode} [root] */
export function fillIcons(root = document) {
  for (const element of root.querySelectorAll('[data-icon]')) setIcon(element, element.dataset.icon);
}

/** @param {Element} element @param {keyof typeof ICONS} name */
export function setIcon(element, name) {
  element.querySelector(':scope > svg.icon')?.remove();
  element.prepend(icon(name));
}

/** One letter or two for a picture that is missing. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join('') || '?';
}

/** A steady colour class, c0–c7, for a name. @param {string} text */
export function hue(text) {
  let hash = 7;
  for (const char of text) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return `c${Math.imul(hash, 2654435761) >>> 29}`;
}

/** Preferences of this browser; forgotten where storage is denied. */
export const prefs = {
  /** @template T @param {string} key @param {T} fallback @returns {T} */
  get(key, fallback) {
    try {
      const text = localStorage.getItem(`mixdown.${key}`);
      return text === null ? fallback : JSON.parse(text);
    } catch {
      return fallback;
    }
  },
  /** @param {string} key @param {any} value */
  set(key, value) {
    try {
      localStorage.setItem(`mixdown.${key}`, JSON.stringify(value));
    } catch {
      // Private windows may refuse storage.
    }
  },
};

/**
 * Says something to screen readers through the page's polite live region.
 *
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById('live');
  if (!region) return;
  region.append(el('p', {}, text));
  while (region.childElementCount > 5) region.firstElementChild.remove();
}

/** A short notice that everybody sees and hears. @param {string} text @param {'info' | 'bad'} [tone] */
export function toast(text, tone = 'info') {
  announce(text);
  const rack = document.getElementById('toasts');
  if (!rack) return;
  const note = el('div', { class: `toast ${tone}`, 'aria-hidden': 'true' }, text);
  rack.append(note);
  while (rack.childElementCount > 4) rack.firstElementChild.remove();
  setTimeout(() => note.remove(), tone === 'bad' ? 8000 : 3500);
}

/**
 * For what is asked again and again: says what goes wrong once, until it goes well or wrong otherwise.
 *
 * @returns {(error: Error | null) => void} to be told of each outcome
 */
export function complaints() {
  let said = '';
  return (error) => {
    const text = error?.message ?? '';
    if (text && text !== said) toast(text, 'bad');
    said = text;
  };
}

/** Ids of rooms as the server takes them. */
export const ROOM = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A bearer token travels in the fragment, which never reaches a log. */
export function token() {
  return new URLSearchParams(location.hash.slice(1)).get('token') ?? undefined;
}

/** Third part of `/r/{room}` and `/watch/{room}`. */
export function roomFromPath() {
  try {
    return decodeURIComponent(location.pathname.split('/')[2] ?? '');
  } catch {
    return '';
  }
}
