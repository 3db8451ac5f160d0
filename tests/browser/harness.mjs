/**
 * What the browser tests stand on: a server that hands out the test pages and passes everything else on to mixdown
 * (one origin, so that neither CORS nor the pages' content policy is in the way), browsers, and waiting with a reason.
 */

import { execFileSync, spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, openSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import puppeteer from 'puppeteer-core';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '..', '..');
export const artifacts = join(process.env.MIXDOWN_ARTIFACTS ?? join(root, 'artifacts'), 'browser');
mkdirSync(artifacts, { recursive: true });

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** Path of the first of these programs that is installed. @param {(string | undefined)[]} names */
function program(...names) {
  for (const name of names.filter(Boolean)) {
    if (name.includes('/')) {
      if (existsSync(name)) return name;
      continue;
    }
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    } catch {
      // Not this one.
    }
  }
  return null;
}

const CHROMIUM = program(process.env.CHROMIUM_BIN, 'chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome');
const FIREFOX = program(process.env.FIREFOX_BIN, 'firefox-esr', 'firefox');
const MIXDOWN = program(process.env.MIXDOWN_BIN);

const S3 = process.env.MIXDOWN_TEST_S3 ?? join(root, '.venv', 'bin', 'moto_server');

/** Reasons to skip; false where there is none. */
export const missing = {
  chromium: CHROMIUM ? false : 'no Chromium is installed (apt-get install chromium)',
  firefox: FIREFOX ? false : 'no Firefox is installed (apt-get install firefox-esr)',
  mixdown: MIXDOWN ? false : 'MIXDOWN_BIN does not name the mixdown program',
  bucket: existsSync(S3) ? false : `${S3} does not exist (tools/requirements.py tests/requirements.txt installs it)`,
};

const STUCK_MS = 45_000;

/**
 * A suite whose tests build on each other. With a reason to skip, each of its tests is skipped and counted; after a test
 * that hung, the others are not tried.
 *
 * @param {string} name
 * @param {false | string} skip
 * @param {(test: (name: string, run: () => any) => void, hooks: {before: Function, after: Function}) => void} body
 */
export function story(name, skip, body) {
  let stuck = false;
  const watch = (run) => async (context) => {
    if (stuck) return context.skip('a test before this one hung');
    const timer = setTimeout(() => { stuck = true; }, STUCK_MS);
    return Promise.resolve(run(context)).finally(() => clearTimeout(timer));
  };
  describe(name, () => {
    const hook = (register) => (run) => skip || register(run, { timeout: 60_000 });
    body((title, run) => test(title, { skip, timeout: 50_000 }, watch(run)), { before: hook(before), after: hook(after) });
  });
}

/** Ends a browser, even one that does not answer. @param {import('puppeteer-core').Browser | undefined} browser */
export async function quit(browser) {
  if (!browser) return;
  const killer = setTimeout(() => browser.process()?.kill('SIGKILL'), 5000);
  await browser.close().catch(() => {});
  clearTimeout(killer);
}

/** Chromium with a fake camera and microphone, not slowed down in the background. @param {string[]} [more] - flags */
export function chromium(more = []) {
  return puppeteer.launch({
    executablePath: CHROMIUM,
    headless: true,
    protocolTimeout: 30_000,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream=fps=30', '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
      '--disable-backgrounding-occluded-windows', '--allow-loopback-in-peer-connection', '--disable-dev-shm-usage',
      '--auto-select-desktop-capture-source=Entire screen', '--mute-audio=false', ...more,
    ],
  });
}

/** Firefox with fake devices; it has VP8 but no H.264 without its downloaded plugin. */
export function firefox() {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
    protocolTimeout: 30_000,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.peerconnection.ice.loopback': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.autoplay.default': 0,
      'media.gmp-manager.updateEnabled': false,
      'dom.min_background_timeout_value': 4,
    },
  });
}

/**
 * The origin of the test pages. `target` may change while it runs; without one, only the pages themselves are there.
 *
 * @param {string | null} target - such as http://127.0.0.1:8080
 * @param {(sdp: string) => Promise<string>} [edit] - what becomes of answers on their way
 */
export async function serve(target = null, edit = undefined) {
  const origin = { target, requests: [], url: '', close: () => server.close() };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://origin');
    origin.requests.push(`${request.method} ${pathname}`);
    const local = pathname.startsWith('/test/') ? join(here, 'pages') : origin.target ? null : join(root, 'web');
    if (!local) return pass(origin.target, request, response, edit);
    const file = join(local, normalize(pathname.replace(/^\/(test|web)\//, '/')));
    if (!file.startsWith(local) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream', 'Cache-Control': 'no-store' });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin.url = `http://127.0.0.1:${server.address().port}`;
  return origin;
}

function pass(target, request, response, edit) {
  const { pathname, search } = new URL(request.url, 'http://origin');
  const options = { method: request.method, headers: { ...request.headers, host: new URL(target).host } };
  const onward = forward(new URL(pathname + search, target), options, (answer) => {
    if (edit && answer.headers['content-type'] === 'application/sdp') return edited(answer, response, edit);
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}

async function edited(answer, response, edit) {
  const text = await edit(Buffer.concat(await answer.toArray()).toString());
  response.writeHead(answer.statusCode, { ...answer.headers, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** A port that is free now. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An S3 server with a bucket; `env` lets mixdown record into it, and keep nothing itself. */
export async function bucket() {
  const at = await freePort();
  const child = spawn(S3, ['-H', '127.0.0.1', '-p', String(at)], { stdio: 'ignore' });
  await until('the bucket is made', async () => (await fetch(`http://127.0.0.1:${at}/films`, { method: 'PUT' }).catch(() => null))?.ok, 20_000);
  const env = {
    MIXDOWN_RECORDINGS_UPLOAD_URL: 's3://films/here',
    MIXDOWN_RECORDINGS_UPLOAD_ENDPOINT: `http://127.0.0.1:${at}`,
    MIXDOWN_RECORDINGS_UPLOAD_ACCESS_KEY_ID: 'example',
    MIXDOWN_RECORDINGS_UPLOAD_SECRET_ACCESS_KEY: 'sesame',
    MIXDOWN_RECORDINGS_UPLOAD_KEEP_LOCAL: 'false',
  };
  return { env, stop: () => child.kill('SIGKILL') };
}

/**
 * Starts mixdown and waits until it is ready.
 *
 * @param {{port?: number, args?: string[], key?: string, env?: Record<string, string>}} [options] - `key`: an API key as `id:secret`, without which rooms are open to anyone
 */
export async function mixdown({ port, args = [], key, env: more = {} } = {}) {
  const at = port ?? (await freePort());
  const log = openSync(join(artifacts, 'mixdown.log'), 'a');
  const open = key ? [] : ['--dev', '--no-demo'];
  // A machine that is busy with browsers is no server that is overloaded.
  const calm = { MIXDOWN_OVERLOAD_GOVERNOR: 'false', MIXDOWN_OVERLOAD_ADMISSION: 'false' };
  const own = { ...process.env, ...calm, MIXDOWN_RECORDINGS_FOLDER: join(artifacts, `recordings-${at}`), ...more };
  const env = key ? { ...own, MIXDOWN_AUTH_KEYS: key, MIXDOWN_NET_BIND: '127.0.0.1' } : own;
  const child = spawn(MIXDOWN, ['serve', ...open, '--bind', `127.0.0.1:${at}`, ...args], { stdio: ['ignore', log, log], env });
  const url = `http://127.0.0.1:${at}`;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until('mixdown is ready', async () => {
    if (child.exitCode !== null) throw new Error(`mixdown ended with ${child.exitCode}; see ${join(artifacts, 'mixdown.log')}`);
    return (await fetch(`${url}/readyz`).catch(() => null))?.ok;
  }, 15_000);
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
  };
  return { url, port: at, pid: child.pid, stop };
}

/** What a page answers that is not built yet, or is being left. */
const NOT_YET = /failed to find element|Execution context was destroyed|Cannot find context/;

/**
 * Waits until `probe` gives something true and returns it. What it gave last is part of the error; an element that is not there
 * yet is waited for as well.
 *
 * @template T
 * @param {string} what
 * @param {() => Promise<T> | T} probe
 * @param {number} [ms]
 * @param {(last: T) => string} [explain]
 * @returns {Promise<T>}
 */
export async function until(what, probe, ms = 20_000, explain = (last) => JSON.stringify(last)) {
  const end = Date.now() + ms;
  for (;;) {
    const last = await Promise.resolve().then(probe).catch((error) => {
      if (!NOT_YET.test(error.message) || Date.now() > end) throw error;
      return null;
    });
    if (last) return last;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}; last: ${explain(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Opens a page and passes its complaints on. @param {import('puppeteer-core').Browser} browser @param {string} url */
export async function open(browser, url) {
  const page = await browser.newPage();
  // Several pages share a window, and all but one of them would count as hidden.
  await page.evaluateOnNewDocument(() => Object.defineProperty(document, 'visibilityState', { get: () => 'visible' }));
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  await page.goto(url);
  return page;
}

/** Keeps a picture of the page for people to look at. */
export function shoot(page, name) {
  return page.screenshot({ path: join(artifacts, `${name}.png`) });
}
