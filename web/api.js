/**
 * The REST API for pages that run a server: requests with credentials, problems as errors, events that are taken up again.
 *
 * @module
 */

import { MixdownError, request } from './session.js';

const STORE = 'mixdown.admin';
const AGAIN_MS = 2000;

/** What was typed: an API key as `id:secret`, or a token. Kept for this tab alone. */
export const credentials = {
  get() {
    try {
      return sessionStorage.getItem(STORE) ?? '';
    } catch {
      return '';
    }
  },
  /** @param {string} text */
  set(text) {
    try {
      if (text) sessionStorage.setItem(STORE, text);
      else sessionStorage.removeItem(STORE);
    } catch {
      // Without storage they are asked for again.
    }
  },
};

/** Takes a token out of the address (`#token=…`), where it would stay in the history. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return;
  credentials.set(token);
  history.replaceState(null, '', location.pathname + location.search);
}

function authorization() {
  const text = credentials.get();
  if (!text) return {};
  return { Authorization: text.includes(':') ? `Basic ${btoa(text)}` : `Bearer ${text}` };
}

/**
 * A token for one room, for connections and pages that take no API key; undefined where nobody is asked for any.
 *
 * @param {string} room
 * @param {object} grants - such as {join: true}
 * @returns {Promise<string | undefined>}
 */
export async function roomToken(room, grants) {
  if (!credentials.get()) return undefined;
  // An identity has one connection: each window needs its own.
  const identity = `console-${Math.random().toString(36).slice(2, 10)}`;
  const response = await call('POST', '/v1/tokens', { body: { identity, room, ...grants } });
  return (await response.json()).token;
}

/**
 * One request. Objects are sent as JSON (merge-patch with PATCH).
 *
 * @param {string} method
 * @param {string} path
 * @param {{body?: object, etag?: string | null, headers?: Record<string, string>, signal?: AbortSignal}} [options] - `etag`: sent as If-Match
 * @returns {Promise<Response>}
 * @throws {MixdownError}
 */
export function call(method, path, { body, etag, headers: more, signal } = {}) {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const headers = { ...authorization(), ...(body && { 'Content-Type': type }), ...(etag && { 'If-Match': etag }), ...more };
  return request(path, { method, headers, signal, body: body && JSON.stringify(body) });
}

/** GET as JSON, with the ETag as `etag` beside it. @param {string} path @param {{signal?: AbortSignal}} [options] */
export async function read(path, options) {
  const response = await call('GET', path, options);
  return { value: await response.json(), etag: response.headers.get('ETag') };
}

/** All items of a list, page by page. @param {string} path */
export async function list(path) {
  const all = [];
  let cursor = null;
  do {
    const query = cursor ? `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}` : '';
    const { value } = await read(path + query);
    all.push(...value.items);
    cursor = value.next_cursor;
  } while (cursor);
  return all;
}

/** Path of a room and what belongs to it. @param {string} room @param {...string} rest */
export function roomPath(room, ...rest) {
  return ['/v1/rooms', room, ...rest].map((part, index) => (index === 0 ? part : encodeURIComponent(part))).join('/');
}

/** Whether an error says that somebody else was first. @param {unknown} error */
export const isStale = (error) => error instanceof MixdownError && error.status === 412;

/** Whether an error says that nobody is signed in who may do this. @param {unknown} error */
export const isForbidden = (error) => error instanceof MixdownError && (error.status === 401 || error.status === 403);

/**
 * Splits a stream of server-sent events.
 *
 * @returns {(chunk: string) => {id?: string, event: string, data: string}[]} gives the events that a chunk completes
 */
export function splitter() {
  let rest = '';
  return (chunk) => {
    const blocks = (rest + chunk).replaceAll('\r\n', '\n').split('\n\n');
    rest = blocks.pop();
    return blocks.map(parse).filter((event) => event.data !== '');
  };
}

function parse(block) {
  const event = { event: 'message', data: '' };
  for (const line of block.split('\n')) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') event.data += (event.data && '\n') + value;
    else if (name) event[name] = value;
  }
  return event;
}

/**
 * Follows events until `stop`; takes them up again after a break, with the id seen last.
 *
 * @param {string} path
 * @param {(event: {id: number, type: string, room: string, at: string, data: any}) => void} heard
 * @param {(live: boolean) => void} [state]
 * @returns {() => void} stop
 */
export function follow(path, heard, state = () => {}) {
  const end = new AbortController();
  // 0: also what happened before the page was opened, as far as the server keeps it.
  let last = '0';
  const run = async () => {
    while (!end.signal.aborted) {
      try {
        await stream();
      } catch (error) {
        if (end.signal.aborted || isForbidden(error) || error.status === 404) break;
      }
      state(false);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    state(false);
  };
  const stream = async () => {
    const headers = { ...authorization(), Accept: 'text/event-stream', 'Last-Event-ID': last };
    const response = await request(path, { headers, signal: end.signal });
    state(true);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const split = splitter();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      for (const event of split(value)) {
        last = event.id ?? last;
        if (event.id) heard(JSON.parse(event.data));
      }
    }
  };
  run();
  return () => end.abort();
}

/**
 * Keeps an image fresh. Pictures need credentials, so they are fetched and shown as blobs. Nothing is asked for
 * while the page or the image is out of sight.
 *
 * @param {HTMLImageElement} image
 * @param {string} path
 * @param {number} every - milliseconds
 * @returns {() => void} stop
 */
export function picture(image, path, every) {
  const end = new AbortController();
  let seen = true;
  const watcher = new IntersectionObserver((entries) => { seen = entries.at(-1).isIntersecting; });
  watcher.observe(image);
  const show = async () => {
    const blob = await (await call('GET', path, { signal: end.signal })).blob();
    const old = image.src;
    image.src = URL.createObjectURL(blob);
    await image.decode().catch(() => {});
    if (old.startsWith('blob:')) URL.revokeObjectURL(old);
    image.dataset.state = 'live';
  };
  const run = async () => {
    while (!end.signal.aborted) {
      if (seen && !document.hidden) await show().catch(() => { image.dataset.state = 'lost'; });
      await new Promise((resolve) => setTimeout(resolve, every));
    }
    if (image.src.startsWith('blob:')) URL.revokeObjectURL(image.src);
  };
  run();
  return () => {
    end.abort();
    watcher.disconnect();
  };
}
