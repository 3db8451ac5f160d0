import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { chromium, missing, mixdown, open, quit, serve, shoot, story, until } from './harness.mjs';
import { load } from './modules.mjs';

const { fares, follows } = await load('admin/fares.js');

test('how an output fares is said in words', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(fares({ state: 'active', reason: null, failures: 0, retry_at: null }, now), 'active');
  const interrupted = { state: 'interrupted', reason: 'connect', failures: 3, retry_at: '2026-01-01T00:00:04Z' };
  assert.equal(fares(interrupted, now), 'interrupted: nothing answers there, 3 in a row, again in 4 s');
  assert.equal(fares({ state: 'failed', reason: 'refused', failures: 9, retry_at: null }, now), 'failed: the other side refuses it');
  assert.equal(fares({ state: 'complete', reason: 'requested', failures: 0, retry_at: null }, now), 'complete');
});

test('only what a link can fetch is one', () => {
  const local = { url: '/v1/egress/eg_1/hls/index.m3u8', public: false };
  const told = [[local, false], [local, true], [{ ...local, public: true }, true], [{ url: 'https://example.org/whip', public: false }, false]];
  assert.deepEqual(told.map(([output, asked]) => follows(output, asked)), [true, false, true, false]);
});

/** Plays a live playlist from another site as players in pages do, with a source of media. */
async function play(url) {
  const video = document.createElement('video');
  Object.assign(video, { muted: true, autoplay: true, crossOrigin: 'anonymous', width: 640 });
  document.body.replaceChildren(video);
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((resolve) => source.addEventListener('sourceopen', resolve, { once: true }));
  const buffer = source.addSourceBuffer('video/mp4; codecs="avc1.42e01f,opus"');
  const append = async (part) => {
    const bytes = await (await fetch(new URL(part, url))).arrayBuffer();
    const done = new Promise((resolve, reject) => {
      buffer.addEventListener('updateend', resolve, { once: true });
      buffer.addEventListener('error', reject, { once: true });
    });
    buffer.appendBuffer(bytes);
    await done;
    if (buffer.buffered.length && video.currentTime < buffer.buffered.start(0)) video.currentTime = buffer.buffered.start(0);
  };
  const seen = new Set();
  for (;;) {
    const lines = (await (await fetch(url)).text()).split('\n');
    const map = lines.map((line) => /^#EXT-X-MAP:URI="(.*)"/.exec(line)?.[1]).find(Boolean);
    for (const part of [map, ...lines.filter((line) => line.startsWith('segment-'))].filter((each) => !seen.has(each))) {
      await append(part);
      seen.add(part);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Leaves it to hls.js, with the oldest that the window still has, and counts what it complains of. */
function playWithHls(url) {
  const video = document.createElement('video');
  Object.assign(video, { muted: true, autoplay: true, width: 640 });
  document.body.replaceChildren(video);
  const player = new window.Hls({ startPosition: 0 });
  window.complaints = [];
  player.on(window.Hls.Events.ERROR, (_, { details, fatal }) => window.complaints.push(`${details}${fatal ? ', fatal' : ''}`));
  player.loadSource(url);
  player.attachMedia(video);
}

/** Leaves it to the browser; false: it knows no HLS. */
function playNatively(url) {
  const video = document.createElement('video');
  Object.assign(video, { muted: true, autoplay: true, crossOrigin: 'anonymous', width: 640 });
  document.body.replaceChildren(video);
  if (video.canPlayType('application/vnd.apple.mpegurl') === '') return false;
  video.src = url;
  return true;
}

/** Brightness of some points of the picture, and where it is. */
function look() {
  const video = document.querySelector('video');
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
  const context = canvas.getContext('2d');
  if (video.videoWidth) context.drawImage(video, 0, 0, 64, 36);
  const { data } = context.getImageData(0, 0, 64, 36);
  const points = [...data.filter((_, index) => index % 4 === 1)];
  return { at: video.currentTime, width: video.videoWidth, fault: video.error?.message ?? null, buffered: video.buffered.length ? video.buffered.end(0) : 0, points };
}

story('what leaves a room', missing.mixdown || missing.chromium, (test, { before, after }) => {
  let server;
  let site;
  let browser;
  let page;
  const api = async (method, path, body) => {
    const response = await fetch(server.url + path, { method, headers: body && { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
    return response.status === 204 ? null : response.json();
  };

  before(async () => {
    server = await mixdown();
    site = await serve();
    browser = await chromium();
    const guest = await open(browser, `${server.url}/r/stage`);
    await guest.waitForSelector('#join');
    await guest.$eval('#name', (input) => { input.value = 'Ann'; });
    await guest.$eval('#join', (button) => button.click());
    await until('Ann is in', async () => (await api('GET', '/v1/rooms/stage/participants')).items?.some((person) => person.state === 'connected'));
    page = await open(browser, `${server.url}/admin#/egress`);
    await page.evaluate(() => { window.confirm = () => true; });
  });
  after(async () => {
    await quit(browser);
    site?.close();
    await server?.stop();
  });

  test('the console starts a stream that is open to whoever knows its address', async () => {
    await until('the room is offered', () => page.$eval('#egress-room', (choice) => choice.value === 'stage'));
    await page.$eval('#egress-public', (box) => box.click());
    await page.$eval('form', (form) => form.requestSubmit());
    await until('it is active', () => page.$eval('tbody .good', (state) => state.textContent === 'active'));
    assert.match(await page.$eval('tbody a', (link) => link.getAttribute('href')), /^\/v1\/egress\/eg_[0-9a-f]{32}\/hls\/index\.m3u8$/);
    await shoot(page, 'console-egress');
  });

  test('Chromium plays it on another site, and its pictures move', async () => {
    const url = await page.$eval('tbody a', (link) => link.href);
    const player = await open(browser, `${site.url}/test/code.js`);
    player.evaluate(play, url).catch(() => {});
    const first = await until('its picture', async () => {
      const seen = await player.evaluate(look);
      return seen.width === 1280 && seen.at > 0.2 && seen;
    }, 30_000);
    const moved = await until('it moves', async () => {
      const seen = await player.evaluate(look);
      const differs = seen.points.filter((value, index) => Math.abs(value - first.points[index]) > 12).length;
      return seen.at > first.at + 2 && differs > 5 && seen;
    }, 30_000, ({ at, fault }) => JSON.stringify({ at, fault }));
    assert.equal(moved.fault, null);
    assert.ok(Math.max(...moved.points) - Math.min(...moved.points) > 40, 'it is a picture');
    await shoot(player, 'hls');
    await player.close();
  });

  test('hls.js plays it, from the beginning of the window on and without a complaint', async () => {
    const url = await page.$eval('tbody a', (link) => link.href);
    const player = await open(browser, `${site.url}/test/code.js`);
    await player.addScriptTag({ path: createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js') });
    await player.evaluate(playWithHls, url);
    const begun = await until('its picture', async () => {
      const seen = await player.evaluate(look);
      return seen.width === 1280 && seen.at > 0.2 && seen;
    }, 30_000, (seen) => JSON.stringify(seen));
    const later = await until('it goes on', async () => {
      const seen = await player.evaluate(look);
      return seen.at > begun.at + 4 && seen;
    }, 30_000, (seen) => JSON.stringify(seen));
    assert.ok(later.points.filter((value, index) => Math.abs(value - begun.points[index]) > 12).length > 5, 'its pictures move');
    // Behind the edge is what was sent before: one can go back to it.
    const back = await player.evaluate(() => { const video = document.querySelector('video'); video.currentTime -= 3; return video.currentTime; });
    await until('it goes on from there', async () => (await player.evaluate(look)).at > back + 1, 30_000);
    assert.deepEqual([(await player.evaluate(look)).fault, await player.evaluate(() => window.complaints)], [null, []]);
    await player.close();
  });

  test('Chromium plays it by itself too', async (context) => {
    const url = await page.$eval('tbody a', (link) => link.href);
    const player = await open(browser, `${site.url}/test/code.js`);
    if (!(await player.evaluate(playNatively, url))) return context.skip('this Chromium knows no HLS');
    const first = await until('its picture', async () => {
      const seen = await player.evaluate(look);
      return seen.width === 1280 && seen.at > 0.2 && seen;
    }, 30_000, (seen) => JSON.stringify(seen));
    await until('it goes on', async () => {
      const seen = await player.evaluate(look);
      return seen.at > first.at + 3 && seen.fault === null;
    }, 30_000);
    return player.close();
  });

  test('a server that does not answer is said once', async () => {
    await page.evaluate(() => {
      window.known = window.fetch;
      window.asked = 0;
      window.fetch = () => { window.asked += 1; return Promise.reject(new TypeError('it is gone')); };
    });
    const seen = () => page.evaluate(() => ({ asked: window.asked, said: document.querySelectorAll('.toast.bad').length }));
    // Each round asks for two lists.
    const { said } = await until('it was asked for three times', async () => { const now = await seen(); return now.asked >= 6 && now; }, 20_000);
    assert.equal(said, 1);
    await page.evaluate(() => { window.fetch = window.known; });
  });

  test('the console ends it', async () => {
    await page.$eval('tbody button', (button) => button.click());
    await until('it is gone', async () => (await api('GET', '/v1/egress')).items.length === 0);
    await until('the page says so', () => page.$eval('.empty', (text) => !text.hidden));
  });
});
