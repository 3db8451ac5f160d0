/** A camera whose codec changes in mid-call, as Chromium's `setParameters` does it: seen all the while, and a track of its own for each stretch. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { artifacts, chromium, missing, mixdown, open, quit, serve, story, until } from './harness.mjs';

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

story('a camera whose codec changes in mid-call', missing.mixdown || missing.chromium, (test, { before, after }) => {
  let server;
  let origin;
  let browser;
  let sender;
  let viewer;
  let id;
  const api = async (method, path, body) => {
    const response = await fetch(server.url + path, { method, headers: body && { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
    return response.json();
  };
  const seen = () => viewer.evaluate(() => bot.see().find(({ name }) => name === 'bot 0')?.code);
  /** Moves on for a second, without a longer stand than the change itself needs. */
  const moves = async (what) => {
    const { frame } = await until(`${what} is seen`, seen);
    await until(`${what} moves`, async () => ((await seen())?.frame ?? frame) !== frame, 2000);
  };
  const change = (mime) => sender.evaluate(async (wanted) => {
    const camera = connections[0].getSenders().find(({ track }) => track?.kind === 'video');
    const parameters = camera.getParameters();
    parameters.encodings[0].codec = parameters.codecs.find(({ mimeType }) => mimeType === wanted);
    await camera.setParameters(parameters);
  }, mime);

  before(async () => {
    server = await mixdown();
    origin = await serve(server.url);
    browser = await chromium();
    [sender, viewer] = [await open(browser, 'about:blank'), await open(browser, 'about:blank')];
    for (const [number, page] of [sender, viewer].entries()) {
      await page.evaluateOnNewDocument(() => {
        window.connections = [];
        window.RTCPeerConnection = class extends window.RTCPeerConnection {
          constructor(...all) {
            super(...all);
            window.connections.push(this);
          }
        };
      });
      await page.goto(`${origin.url}/test/sender.html`);
      await until('the page is ready', () => page.evaluate(() => Boolean(window.bot)));
      await page.evaluate((all) => bot.join(all), { id: number, room: 'switch', codec: number === 0 ? 'H264' : undefined, camera: number === 0 });
    }
    id = (await api('POST', '/v1/rooms/switch/recordings', { tracks: 'each' })).id;
  });
  after(async () => {
    await quit(browser);
    origin?.close();
    await server?.stop();
  });

  test('it is seen in each of them', async () => {
    await moves('H.264');
    await pass(3000);
    for (const mime of ['video/VP8', 'video/H264', 'video/VP8']) {
      await change(mime);
      await pass(2000);
      await moves(mime);
    }
  });

  test('each stretch is a track, one right after the other, and all of them are composed again', async () => {
    await api('POST', `/v1/recordings/${id}/stop`, {});
    await until('it is complete', async () => (await api('GET', `/v1/recordings/${id}`)).state === 'complete');
    const tracks = (await api('GET', `/v1/recordings/${id}/tracks`)).items.filter(({ source }) => source === 'camera');
    assert.deepEqual(tracks.map(({ codec }) => codec), ['h264', 'vp8', 'h264', 'vp8']);
    for (const [n, { offset_us: from }] of tracks.slice(1).entries()) {
      const apart = (from - tracks[n].offset_us - tracks[n].duration_us) / 1000;
      assert.ok(Math.abs(apart) < 700, `${apart} ms between ${n} and the next`);
    }
    const film = join(artifacts, 'codecs.mp4');
    execFileSync(process.env.MIXDOWN_BIN, ['compose', join(artifacts, `recordings-${server.port}`, id), '--canvas', '320x180', '-o', film], { stdio: 'pipe' });
    const decoded = execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', film, '-f', 'null', '-'], { stdio: 'pipe' });
    assert.equal(String(decoded), '');
  });
});
