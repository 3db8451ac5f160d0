import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { artifacts, bucket, chromium, missing, mixdown, open, quit, shoot, story, until } from './harness.mjs';
import { load } from './modules.mjs';

const { duration, isOver, lanes, playlist, size } = await load('recordings/format.js');

test('durations and sizes are written as people read them', () => {
  assert.deepEqual([0, 999, 61_000, 3_723_000].map(duration), ['0:00', '0:00', '1:01', '1:02:03']);
  assert.deepEqual([0, 999, 12_300, 123_456_789, 5e13].map(size), ['0 B', '999 B', '12.3 kB', '123 MB', '50.0 TB']);
  assert.deepEqual(['active', 'paused', 'stopping', 'complete', 'interrupted', 'failed'].map(isOver), [false, false, false, true, true, true]);
});

test('everybody who spoke has one lane, and no bar leaves it', () => {
  const turn = (participant, name, from_ms, to_ms) => ({ participant, name, from_ms, to_ms });
  const found = lanes({ duration_ms: 10_000, turns: [turn('a', 'Ann', 0, 2500), turn('b', 'Bob', 2500, 5000), turn('a', 'Anna', 5000, 12_000)] });
  assert.deepEqual(found.map(({ name }) => name), ['Anna', 'Bob']);
  assert.deepEqual(found[0].turns.map(({ at, length }) => [at, length]), [[0, 0.25], [0.5, 0.5]]);
  assert.deepEqual(lanes({ duration_ms: 0, turns: [turn('a', 'Ann', 0, 5)] })[0].turns[0].length, 0);
});

test('a playlist is read as ranges of bytes and of time', () => {
  const text = '#EXTM3U\n#EXT-X-MAP:URI="media?form=fragmented",BYTERANGE="700@0"\n#EXTINF:2.5,\n#EXT-X-BYTERANGE:300@700\nmedia\n#EXTINF:4.0,\n#EXT-X-BYTERANGE:50@1000\nmedia\n';
  const found = playlist(text);
  assert.deepEqual(found.head, { first: 0, length: 700 });
  assert.deepEqual(found.segments, [{ first: 700, length: 300, at: 0, seconds: 2.5 }, { first: 1000, length: 50, at: 2.5, seconds: 4 }]);
  assert.equal(found.ended, false);
  assert.equal(playlist(`${text}#EXT-X-ENDLIST\n`).ended, true);
  assert.deepEqual(playlist('nonsense'), { head: null, segments: [], ended: false });
});

const KEY = 'browser:a-secret-of-the-browser-tests-0123456789';

/** Anybody's server plays the file by itself, one with keys by its fragments. */
const SERVERS = [
  ['of a server that is open', undefined, false, 'h264'],
  ['behind a key', KEY, false, 'h264'],
  ['that are in a bucket alone', undefined, true, 'h264'],
  ['of a server that knows VP8 alone', undefined, false, 'vp8'],
  ['of VP8 alone, behind a key', KEY, false, 'vp8'],
];
for (const [name, key, away, codec] of SERVERS) {
  story(`the recordings ${name}`, missing.mixdown || missing.chromium || (away && missing.bucket), (test, { before, after }) => {
    let server;
    let browser;
    let page;
    let id;
    let films;
    const api = async (method, path, body) => {
      const headers = { ...(key && { Authorization: `Basic ${btoa(key)}` }), ...(body && { 'Content-Type': 'application/json' }) };
      const response = await fetch(server.url + path, { method, headers, body: body && JSON.stringify(body) });
      return response.status === 204 ? null : response.json();
    };
    const text = (selector) => page.$eval(selector, (element) => element.textContent);
    const press = (selector) => page.$eval(selector, (element) => element.click());
    const state = async () => (await api('GET', `/v1/recordings/${id}`)).state;
    const playing = () => page.$eval('video', (video) => ({ at: video.currentTime, length: video.duration, width: video.videoWidth, fault: video.error?.message ?? null }));

    before(async () => {
      films = away ? await bucket() : null;
      server = await mixdown({ key, env: { ...films?.env, ...(codec === 'vp8' && { MIXDOWN_VIDEO_CODECS: 'vp8' }) } });
      browser = await chromium();
      const { token } = key ? await api('POST', '/v1/tokens', { identity: 'ann', room: 'past', join: true, subscribe: true, publish: ['audio', 'video', 'data'] }) : {};
      const guest = await open(browser, `${server.url}/r/past${token ? `#token=${token}` : ''}`);
      await guest.waitForSelector('#join');
      await guest.$eval('#name', (input) => { input.value = 'Ann'; });
      await guest.$eval('#join', (button) => button.click());
      await until('Ann is in', async () => (await api('GET', '/v1/rooms/past/participants')).items?.some((person) => person.state === 'connected'));
      id = (await api('POST', '/v1/rooms/past/recordings', {})).id;
      await until('it runs', async () => (await state()) === 'active');
      page = await open(browser, `${server.url}/recordings`);
      await page.evaluate(() => { window.confirm = () => true; });
    });
    after(async () => {
      await quit(browser);
      await server?.stop();
      films?.stop();
    });

    if (key) {
      test('nothing is shown before one has signed in', async () => {
        await page.waitForSelector('#key');
        assert.equal(await page.$('.recordings'), null);
        await page.$eval('#key', (field, typed) => { field.value = typed; }, key);
        await page.$eval('form', (form) => form.requestSubmit());
      });
    }

    test('one that runs is listed, and plays as far as it has come', async () => {
      await until('it is listed', () => page.$(`[data-id=${id}] [data-state=active]`));
      assert.match(await text(`[data-id=${id}] strong`), /past/);
      await press(`[data-id=${id}] a`);
      await page.waitForSelector('video');
      await until('its picture', async () => (await playing()).width === 1280, 25_000, JSON.stringify);
    });

    // By its fragments, whatever they hold.
    const followed = codec === 'h264' ? test : () => {};
    followed('it is followed beyond what there was when it was opened', async () => {
      const opened = (await api('GET', `/v1/recordings/${id}`)).duration_ms / 1000;
      await page.$eval('video', (video) => { video.muted = true; return video.play(); });
      await until('it goes on', async () => (await playing()).at > opened + 3, 40_000, JSON.stringify);
      assert.equal((await playing()).fault, null);
    });

    followed('it is fetched once, whatever becomes of it before it has come', async () => {
      await page.evaluate(() => {
        const fetch = window.fetch;
        window.fetched = 0;
        const held = new Promise((resolve) => { window.letGo = resolve; });
        window.fetch = async (path, options) => {
          if (!String(path).includes('/media')) return fetch(path, options);
          window.fetched += 1;
          await held;
          return fetch(path, options);
        };
        window.location.hash = '#/';
      });
      await press(await until('the list', async () => (await page.$(`[data-id=${id}] a`)) && `[data-id=${id}] a`));
      await until('it is asked for', () => page.evaluate(() => window.fetched === 1));
      for (const [act, state] of [['pause', 'paused'], ['resume', 'active']]) {
        await api('POST', `/v1/recordings/${id}/${act}`, {});
        await until(state, () => page.$(`.head [data-state=${state}]`));
      }
      assert.equal(await page.evaluate(() => window.fetched), 1);
      await page.evaluate(() => window.letGo());
      await until('its picture', async () => (await playing()).width === 1280, 25_000, JSON.stringify);
    });

    test('it is stopped from the page, and plays with sound, picture and its whole length', async () => {
      await new Promise((resolve) => setTimeout(resolve, 2500));
      await press('[data-act=stop]');
      await until('it is complete', () => page.$('[data-state=complete]'));
      if (away) await until('it is in the bucket alone', async () => (await api('GET', `/v1/recordings/${id}`)).upload.local === false);
      await page.goto(`${server.url}/recordings`);
      await until('a thumbnail', () => page.$eval(`[data-id=${id}] img`, (image) => image.naturalWidth > 0).catch(() => false));
      await shoot(page, `recordings-${away ? 'away' : key ? 'key' : 'open'}-${codec}`);
      await press(`[data-id=${id}] a`);
      await until('its picture', async () => (await playing()).width === 1280, 20_000, JSON.stringify);
      const { duration_ms: long, video } = await api('GET', `/v1/recordings/${id}`);
      const length = long / 1000;
      assert.equal(video.codec, codec);
      await until('its length', async () => Math.abs((await playing()).length - length) < 0.5, 10_000, JSON.stringify);
      await page.$eval('video', (video) => { video.muted = true; return video.play(); });
      await until('it moves', async () => (await playing()).at > 1, 20_000, JSON.stringify);
      await page.$eval('video', (video) => { video.currentTime = video.duration - 0.7; });
      await until('it ends', () => page.$eval('video', (video) => video.ended), 20_000);
      assert.equal((await playing()).fault, null);
      await shoot(page, `recording-${away ? 'away' : key ? 'key' : 'open'}-${codec}`);
    });

    test('what happened is told under the picture, and leads to its moment', async () => {
      await until('Ann is named', async () => /Ann/.test(await text('.happened')));
      await press('.happened button');
      await until('at the beginning', async () => (await playing()).at < 1);
    });

    test('it is downloaded, and deleted with all its files', async () => {
      await page.evaluate(() => {
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => {
          window.held = blob.size;
          return make(blob);
        };
        HTMLAnchorElement.prototype.click = function click() { window.saved = { name: this.download, from: this.href }; };
      });
      await press('#download');
      const saved = await until('the file', () => page.evaluate(() => window.saved));
      assert.match(saved.name, /^past-\d{14}\.mp4$/);
      const bytes = await page.evaluate(async ({ from }) => window.held ?? (await (await fetch(from)).arrayBuffer()).byteLength, saved);
      assert.equal(bytes, (await api('GET', `/v1/recordings/${id}`)).files.find((file) => /\.mp4$/.test(file.name)).bytes);
      await page.evaluate(() => { window.confirm = () => true; });
      await press('#delete');
      await until('the list', () => page.$('.recordings'));
      await until('it is gone', async () => (await page.$(`[data-id=${id}]`)) === null);
      assert.equal(await state(), undefined);
      await until('its files are gone', () => !readdirSync(join(artifacts, `recordings-${server.port}`)).some((file) => file.includes(id)));
    });
  });
}
