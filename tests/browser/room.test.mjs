import assert from 'node:assert/strict';
import { chromium, firefox, missing, mixdown, open, quit, serve, shoot, story, until } from './harness.mjs';

/** Who takes part: browser, and what it sends. Their ids are their colours and tones. */
const CAST = [
  { id: 0, browser: 'chromium', codec: 'H264', what: 'Chromium with H.264' },
  { id: 1, browser: 'chromium', codec: 'VP8', what: 'Chromium with VP8' },
  { id: 2, browser: 'chromium', codec: 'VP8', simulcast: true, width: 1280, height: 720, what: 'Chromium with simulcast' },
  { id: 3, browser: 'firefox', codec: 'VP8', what: 'Firefox with VP8' },
].filter(({ browser }) => !missing[browser]);
const SCREEN = 6;

story('a room of different browsers', missing.mixdown || missing.chromium, (test, { before, after }) => {
  const browsers = {};
  const pages = new Map();
  let server;
  let origin;
  const ask = (id, probe, ...args) => pages.get(id).evaluate(probe, ...args);
  const others = (id) => CAST.map((member) => member.id).filter((other) => other !== id);

  before(async () => {
    server = await mixdown();
    origin = await serve(server.url);
    browsers.chromium = await chromium();
    if (!missing.firefox) browsers.firefox = await firefox();
  });
  after(async () => {
    for (const browser of Object.values(browsers)) await quit(browser);
    origin?.close();
    await server?.stop();
  });

  for (const { what, browser, ...options } of CAST) {
    test(`${what} joins and has a picture within two seconds`, async () => {
      const page = await open(browsers[browser], `${origin.url}/test/sender.html`);
      pages.set(options.id, page);
      await until('the page is ready', () => page.evaluate(() => Boolean(window.bot)));
      await page.evaluate((all) => bot.join({ ...all, room: 'four' }), options);
      const after = await until('a picture', () => page.evaluate(() => bot.pictureAfter), 10_000, () => page.complaints.join('; '));
      assert.ok(after < 2000, `${Math.round(after)} ms`);
    });
  }

  test('everybody reads the codes of all others at the places that the tile map names', async () => {
    for (const { id, what } of CAST) {
      const right = (tiles) => others(id).every((other) => tiles.some(({ name, source, code }) => name === `bot ${other}` && source === 'camera' && code?.id === other && code.colour === other));
      await until(`${what} sees everybody`, async () => {
        const tiles = await ask(id, () => bot.see());
        return tiles.length === CAST.length && right(tiles);
      }, 15_000, () => '').catch(async (error) => {
        await shoot(pages.get(id), `failed-${id}`);
        throw new Error(`${error.message} ${JSON.stringify(await ask(id, () => bot.see()))}`);
      });
    }
    for (const { id } of CAST) await shoot(pages.get(id), `room-${id}`);
  });

  test('every tile moves at about the rate that was sent', async () => {
    const [{ id }] = CAST;
    const first = await ask(id, () => bot.see());
    const began = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const second = await ask(id, () => bot.see());
    const seconds = (Date.now() - began) / 1000;
    for (const { name, code } of second) {
      const before = first.find((tile) => tile.name === name)?.code;
      assert.ok(before && code, `${name} is readable at both times`);
      const rate = ((code.frame - before.frame + 256) % 256) / seconds;
      assert.ok(rate > 15 && rate < 35, `${name} moves at ${rate.toFixed(1)} fps`);
    }
  });

  test('everybody hears the tones of all others and not their own', async () => {
    for (const { id, what } of CAST) {
      const wanted = others(id);
      await until(`${what} hears ${wanted}`, async () => {
        const tones = await ask(id, () => bot.hear());
        return JSON.stringify(tones) === JSON.stringify(wanted);
      }, 10_000, () => '').catch(async (error) => {
        throw new Error(`${error.message} heard ${await ask(id, () => bot.hear())}, levels ${await ask(id, () => bot.levels)}`);
      });
    }
  });

  test('each receives one picture as large as its player in a codec that it has', async () => {
    for (const { id, what } of CAST) {
      const stats = await until(`${what} has figures`, async () => {
        const figures = await ask(id, () => bot.stats());
        return figures?.video?.width === 960 && figures;
      }, 40_000); // Where four browsers keep each other waiting, an estimator takes that for a queue now and then.
      assert.equal(stats.video.height, 540);
      assert.match(stats.video.codec, /^(H264|VP8)$/);
      assert.equal(stats.audio.codec.toLowerCase(), 'opus');
      const tracks = await ask(id, () => bot.conference.stream.getTracks().map((track) => track.kind).sort());
      assert.deepEqual(tracks, ['audio', 'video']);
    }
  });

  test('the roster names everybody', async () => {
    const names = CAST.map(({ id }) => `bot ${id}`).sort();
    for (const { id } of CAST) await until('the roster is complete', async () => JSON.stringify(await ask(id, () => bot.people())) === JSON.stringify(names));
  });

  test('a chat message reaches everybody', async () => {
    const from = CAST.at(-1).id;
    assert.equal(await ask(from, () => bot.conference.chat('good morning, 早上好')), true);
    for (const { id } of CAST) await until('the message is there', () => ask(id, () => bot.messages.length > 0));
    for (const { id } of CAST) assert.deepEqual(await ask(id, () => bot.messages), [`bot ${from}: good morning, 早上好`]);
  });

  test('a muted microphone is silent for the others and shown in the tile map', async () => {
    const [{ id: listener }, { id: muted }] = CAST;
    await ask(muted, () => bot.conference.setMuted({ audio: true }));
    await until('the tone is gone', async () => !(await ask(listener, () => bot.hear())).includes(muted));
    await until('the tile says so', () => ask(listener, (name) => bot.conference.tiles.tiles.some((tile) => tile.name === name && tile.muted), `bot ${muted}`));
    await ask(muted, () => bot.conference.setMuted({ audio: false }));
    await until('the tone is back', async () => (await ask(listener, () => bot.hear())).includes(muted));
  });

  test('a shared screen is seen by everybody and beats the cameras', async () => {
    const [{ id: sharer }] = CAST;
    await ask(sharer, (code) => bot.shareScreen(code), SCREEN);
    for (const { id, what } of CAST) {
      const tiles = await until(`${what} sees the screen`, async () => {
        const all = await ask(id, () => bot.see());
        return all.some(({ source, code }) => source === 'screen' && code?.id === SCREEN) && all;
      }, 15_000, () => '').catch(async (error) => {
        await shoot(pages.get(id), `failed-screen-${id}`);
        throw new Error(`${error.message} ${JSON.stringify(await ask(id, () => bot.see()))}`);
      });
      assert.equal(tiles.find(({ source }) => source === 'screen').name, `bot ${sharer}`);
    }
    const map = await ask(sharer, () => bot.conference.tiles.tiles);
    const area = ({ width, height }) => width * height;
    const screen = area(map.find(({ source }) => source === 'screen'));
    assert.ok(map.every((tile) => tile.source === 'screen' || area(tile) < screen), 'the screen has the largest tile');
    await shoot(pages.get(CAST[1].id), 'room-screen');
    await ask(sharer, () => bot.conference.stopScreen());
    await until('the screen is gone', () => ask(CAST[1].id, () => !bot.conference.tiles.tiles.some((tile) => tile.source === 'screen')));
  });

  test('a camera that is dropped leaves initials, and comes back', async () => {
    const [{ id: viewer }, { id: sender }] = CAST;
    const name = `bot ${sender}`;
    const readable = async () => (await ask(viewer, () => bot.see())).find((tile) => tile.name === name)?.code;
    await ask(sender, () => { window.kept = bot.conference.media.camera; return bot.conference.setCamera(null); });
    await until('the tile shows no code', async () => !(await readable()));
    await ask(sender, () => bot.conference.setCamera(window.kept));
    await until('the tile shows the code again', async () => (await readable())?.id === sender);
  });

  test('the tile map changes with the picture, not before and not after', async () => {
    const [{ id: viewer }] = CAST;
    const leaver = CAST.at(-1).id;
    // At once: on its way from place to place a tile stands nowhere.
    const body = JSON.stringify({ transition: { ms: 0 } });
    const changed = await fetch(`${server.url}/v1/rooms/four/views/main/layout`, { method: 'PATCH', headers: { 'Content-Type': 'application/merge-patch+json' }, body });
    assert.equal(changed.status, 200);
    // Pages in the background are not told about pictures.
    await pages.get(viewer).bringToFront();
    await ask(viewer, () => bot.watchTiles());
    await until('pictures are compared', () => ask(viewer, () => bot.compared.frames > 5));
    await ask(leaver, () => bot.conference.leave());
    await until('the one who left has no tile', () => ask(viewer, (name) => !bot.conference.tiles.tiles.some((tile) => tile.name === name), `bot ${leaver}`));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { frames, wrong } = await ask(viewer, () => bot.watched());
    assert.ok(frames > 15, `${frames} pictures were compared`);
    assert.ok(wrong <= 2, `${wrong} of ${frames} pictures did not fit the map in force`);
  });

  test('who has left is gone from roster and sound', async () => {
    const leaver = CAST.at(-1).id;
    for (const { id } of CAST.slice(0, -1)) {
      await until('not in the roster', async () => !(await ask(id, () => bot.people())).includes(`bot ${leaver}`));
      await until('not in the sound', async () => !(await ask(id, () => bot.hear())).includes(leaver));
    }
  });

  test('/watch shows the same picture without joining', async () => {
    const page = await open(browsers.chromium, `${origin.url}/watch/four?clean=1`);
    const tiles = await ask(CAST[0].id, () => bot.conference.tiles.tiles);
    const see = () => page.evaluate(async (map) => {
      const { read } = await import('/test/code.js');
      const video = document.querySelector('video');
      if (!video.videoWidth) return [];
      const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0);
      const image = context.getImageData(0, 0, canvas.width, canvas.height);
      return map.map(({ name, ...tile }) => ({ name, code: read(image, tile) }));
    }, tiles);
    const seen = await until('all codes', async () => {
      const all = await see();
      return all.length > 0 && all.every(({ name, code: found }) => found && name === `bot ${found.id}`) && all;
    });
    assert.equal(seen.length, CAST.length - 1);
    assert.equal(await page.evaluate(() => getComputedStyle(document.getElementById('bar')).display), 'none');
    assert.deepEqual(await ask(CAST[0].id, () => bot.people()), CAST.slice(0, -1).map(({ id }) => `bot ${id}`));
    await shoot(page, 'watch');
    await page.close();
  });

  test('nothing went wrong in any page', async () => {
    for (const { id, what } of CAST) {
      assert.deepEqual(pages.get(id).complaints, [], what);
      assert.deepEqual(await ask(id, () => bot.errors), [], what);
    }
  });
});
