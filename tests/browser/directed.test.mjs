import assert from 'node:assert/strict';
import { chromium, missing, mixdown, open, quit, serve, shoot, story, until } from './harness.mjs';

const json = (type, body) => ({ headers: { 'Content-Type': type }, body: JSON.stringify(body) });
const third = (n) => ({ x: `${n}/3`, width: '1/3' });

/** Layouts in the order of a lively direction; each is another one than the one before. */
const LAYOUTS = [
  { type: 'grid' },
  { type: 'speaker' },
  { type: 'presentation', strip: 'left' },
  { type: 'side_by_side' },
  { type: 'pip', corner: 'top_left' },
  { type: 'custom', regions: [{ width: '1/2', seat: 'any' }, { x: '1/2', width: '1/2', seat: 'any', tiles: 3 }] },
  { type: 'single' },
  { type: 'grid', gap: 24, overlays: [{ type: 'lower_third', text: 'Agenda', x: 0.02, y: 0.9, size: 0.04 }] },
  { type: 'speaker', strip: 'top' },
  { type: 'custom', regions: [0, 1, 2].map((n) => ({ ...third(n), y: n === 1 ? 0 : '1/3', height: '2/3', seat: 'any' })) },
];
const CHANGES = 50;
const EVERY_MS = 150;
const CALM_MS = 3000;

let browser;
const launched = async () => (browser ??= await chromium());

story('a conference whose picture is directed', missing.mixdown || missing.chromium, (test, { before, after }) => {
  const CAST = [0, 1, 2, 3];
  const pages = [];
  let server;
  let origin;
  const put = async (layout) => {
    const response = await fetch(`${server.url}/v1/rooms/stage/views/main/layout`, { method: 'PUT', ...json('application/json', layout) });
    assert.equal(response.status, 200, await response.text());
  };

  before(async () => {
    server = await mixdown();
    origin = await serve(server.url);
    await launched();
    const room = { canvas: { width: 960, height: 540 }, layout: { type: 'grid', transition: { ms: 0 } } };
    assert.equal((await fetch(`${server.url}/v1/rooms/stage`, { method: 'PUT', ...json('application/json', room) })).status, 201);
  });
  after(async () => {
    for (const page of pages) await page.close();
    origin?.close();
    await server?.stop();
  });

  test('before anybody is there, ?clean=1 shows nothing at all', async () => {
    const page = await open(browser, `${origin.url}/watch/empty?clean=1`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(await visible(page), ['VIDEO']);
    await page.close();
  });

  test('four join and see each other', async () => {
    for (const id of CAST) {
      const page = await open(browser, `${origin.url}/test/sender.html`);
      pages.push(page);
      await until('the page is ready', () => page.evaluate(() => Boolean(window.bot)));
      await page.evaluate((id) => bot.join({ id, room: 'stage', codec: 'H264' }), id);
    }
    await pages.at(-1).bringToFront();
    await until('everybody is seen', async () => {
      const tiles = await pages.at(-1).evaluate(() => bot.see());
      return tiles.length === CAST.length && tiles.every(({ name, code }) => name === `bot ${code?.id}`);
    }, 15_000);
  });

  test('fifty changes of layout under load show no black, frozen or wrong picture on a stream that goes on', async () => {
    const watcher = pages.at(-1);
    const before = await watcher.evaluate(() => bot.received());
    let loaded = true;
    const load = (async () => {
      for (let asked = 0; loaded; asked += 1) {
        await (await fetch(`${server.url}/v1/rooms/stage/views/main/snapshot.jpg?width=320`)).arrayBuffer();
        for (let n = 0; n < 10; n += 1) await (await fetch(`${server.url}/v1/rooms/stage/participants`)).json();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    // What this machine makes of the same load while nothing is changed.
    await watcher.evaluate(() => bot.judge());
    await new Promise((resolve) => setTimeout(resolve, CALM_MS));
    const calm = await watcher.evaluate(() => bot.verdict());
    await watcher.evaluate(() => bot.judge());
    for (let n = 1; n <= CHANGES; n += 1) {
      await put({ transition: { ms: 0 }, ...LAYOUTS[n % LAYOUTS.length] });
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    loaded = false;
    await load;
    const { pictures, black, astray, missing, still } = await watcher.evaluate(() => bot.verdict());
    const after = await watcher.evaluate(() => bot.received());
    await shoot(watcher, 'directed');
    assert.ok(pictures > CHANGES, `${pictures} pictures were judged`);
    assert.equal(black, 0, `${black} of ${pictures} pictures are black`);
    console.log(`longest standstill: ${Math.round(still)} ms, without changes ${Math.round(calm.still)} ms; missing ${Math.round(missing)} ms`);
    assert.ok(still < calm.still + EVERY_MS, `nobody moved for ${Math.round(still)} ms, without changes for ${Math.round(calm.still)} ms`);
    assert.ok(missing < 1000, `somebody who has a tile was not in it for ${Math.round(missing)} ms`);
    assert.deepEqual(astray, [], `in these of ${pictures} pictures somebody stands in somebody else's place`);
    assert.equal(after.ssrc, before.ssrc, 'the same stream');
    // Its link may move the watcher to another rung meanwhile, which takes a keyframe; a change of layout takes none.
    assert.ok(after.keyframes - before.keyframes < CHANGES / 10, `${after.keyframes - before.keyframes} keyframes in ${CHANGES} changes`);
  });

  test('in motion from one layout to the next no picture is black', async () => {
    const watcher = pages.at(-1);
    await watcher.evaluate(() => bot.judge());
    for (const layout of LAYOUTS.slice(0, 7)) {
      await put({ transition: { ms: 400, easing: 'ease_in_out' }, ...layout });
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await put({ type: 'grid', transition: { ms: 0 } });
    const { pictures, black } = await watcher.evaluate(() => bot.verdict());
    assert.ok(pictures > 8, `${pictures} pictures were judged`);
    assert.equal(black, 0, `${black} of ${pictures} pictures are black`);
  });

  test('/watch?clean=1 is the picture over the whole window and nothing else; without it there are controls', async () => {
    const page = await open(browser, `${origin.url}/watch/stage?clean=1`);
    await page.setViewport({ width: 640, height: 360 });
    const picture = () => page.$eval('video', (video) => ({ width: video.videoWidth, at: video.currentTime }));
    await until('the picture', async () => (({ width, at }) => width > 0 && at > 0.5)(await picture()), 20_000, () => 'false');
    assert.deepEqual(await visible(page), ['VIDEO']);
    const box = await page.$eval('video', (video) => video.getBoundingClientRect().toJSON());
    assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 640, 360]);
    assert.deepEqual(await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]), [640, 360]);
    await page.mouse.move(100, 100);
    assert.deepEqual(await visible(page), ['VIDEO'], 'a moving pointer brings nothing up');
    const shown = await page.evaluate(async (tiles) => {
      const { read } = await import('/test/code.js');
      const video = document.querySelector('video');
      const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
      const brush = canvas.getContext('2d');
      brush.drawImage(video, 0, 0);
      const image = brush.getImageData(0, 0, canvas.width, canvas.height);
      return tiles.map(({ name, ...tile }) => [name, `bot ${read(image, tile)?.id}`]);
    }, await pages.at(-1).evaluate(() => bot.conference.tiles.tiles));
    assert.equal(shown.length, CAST.length);
    for (const [name, seen] of shown) assert.equal(seen, name);
    await shoot(page, 'watch-clean');
    await page.goto(`${origin.url}/watch/stage?clean=0`);
    await until('controls', async () => (await visible(page)).includes('BUTTON'));
    await page.close();
  });
});

/** Tags of what a window shows besides its root. @param {import('puppeteer-core').Page} page */
function visible(page) {
  return page.$$eval('body *', (all) => {
    const seen = ({ tagName }) => !['MAIN', 'SCRIPT'].includes(tagName);
    return [...new Set(all.filter((element) => seen(element) && element.checkVisibility({ opacityProperty: true, visibilityProperty: true })).map(({ tagName }) => tagName))];
  });
}

const KEY = 'browser:a-secret-of-the-browser-tests-0123456789';

story('a waiting room', missing.mixdown || missing.chromium, (test, { before, after }) => {
  let server;
  const pages = {};
  const text = (who, selector) => pages[who].$eval(selector, (element) => element.textContent);
  const hidden = (who, selector) => pages[who].$eval(selector, (element) => element.hidden);
  const api = async (method, path, body) => {
    const response = await fetch(server.url + path, { method, headers: { Authorization: `Basic ${btoa(KEY)}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
    return response.status === 204 ? null : response.json();
  };
  const people = async () => (await api('GET', '/v1/rooms/door/participants')).items.map(({ name, state }) => `${name} ${state}`).sort();
  const shown = (who) => pages[who].$eval('#composite', (video) => video.videoWidth);

  /** Opens the room's page as somebody and clicks Join. */
  async function knock(who, grants = {}) {
    const request = { identity: who.toLowerCase(), room: 'door', join: true, subscribe: true, publish: ['audio', 'video', 'data'], ...grants };
    const { token } = await api('POST', '/v1/tokens', request);
    pages[who] = await open(browser, `${server.url}/r/door#token=${token}`);
    await pages[who].waitForSelector('#join');
    await pages[who].$eval('#name', (input, name) => { input.value = name; }, who);
    await pages[who].$eval('#join', (button) => button.click());
  }

  before(async () => {
    server = await mixdown({ key: KEY });
    await launched();
    await api('PUT', '/v1/rooms/door', { waiting_room: true });
    await knock('Mona', { admin: true });
    await until('the moderator is in', async () => (await shown('Mona')) > 0);
  });
  after(async () => {
    await quit(browser);
    await server?.stop();
  });

  test('one who knocks is told to wait, and neither sees nor is seen', async () => {
    await knock('Ann');
    await until('told to wait', async () => !(await hidden('Ann', '#room')) && (await text('Ann', '#waiting-text')).includes('moderators know that you wait'));
    await until('Ann waits', async () => (await people()).includes('Ann waiting'));
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(await shown('Ann'), 0, 'no picture');
    assert.equal(await hidden('Ann', '#waiting'), false);
    const tiles = await pages.Mona.$$eval('#tiles li', (items) => items.map((item) => item.textContent));
    assert.equal(tiles.length, 1, tiles.join());
    assert.equal(await text('Mona', '#count'), '1');
    assert.equal(await pages.Ann.$$eval('#people li', (items) => items.length), 0, 'nor does Ann know who is there');
  });

  test('the moderator hears of it once, and lets in', async () => {
    await until('the knock', async () => (await text('Mona', '#live')).includes('Ann waits to be let in'));
    await until('a button', () => pages.Mona.$('#knocking [data-act=admit]'));
    await pages.Mona.$eval('#people-button', (button) => button.click());
    await shoot(pages.Mona, 'waiting-room');
    await pages.Mona.$eval('#knocking [data-act=admit]', (button) => button.click());
    await until('Ann sees', async () => (await shown('Ann')) > 0 && (await hidden('Ann', '#waiting')));
    await until('two people', async () => (await text('Mona', '#count')) === '2');
    await until('two tiles', async () => (await pages.Mona.$$eval('#tiles li', (items) => items.length)) === 2);
    assert.equal(await hidden('Mona', '#knocking'), true);
    assert.deepEqual(await people(), ['Ann connected', 'Mona connected']);
  });

  test('who has been let in sees nobody at the door', async () => {
    await knock('Bob');
    await until('the knock', async () => (await text('Mona', '#knocking')).includes('Bob'));
    assert.equal(await hidden('Ann', '#knocking'), true);
    assert.ok(!(await text('Ann', '#people')).includes('Bob'));
  });

  test('who is turned away is told so, never saw anything, and does not come back with the same link', async () => {
    await pages.Mona.$eval('#knocking [data-act=deny]', (button) => button.click());
    await until('the end', async () => !(await hidden('Bob', '#over')));
    assert.match(await text('Bob', '#over-text'), /not admitted|turned away|not let in/i);
    assert.equal(await shown('Bob'), 0);
    await shoot(pages.Bob, 'turned-away');
    await pages.Bob.$eval('#again', (button) => button.click());
    await pages.Bob.waitForSelector('#join');
    await pages.Bob.$eval('#join', (button) => button.click());
    await until('refused', async () => /removed from the room/i.test(await pages.Bob.evaluate(() => document.body.innerText)));
    await shoot(pages.Bob, 'turned-away-again');
    assert.deepEqual(await people(), ['Ann connected', 'Mona connected']);
  });

  test('the console lists who was turned away, and lets them come back', async () => {
    const removed = async () => (await api('GET', '/v1/rooms/door/removed')).items.map(({ identity }) => identity);
    assert.deepEqual(await removed(), ['bob']);
    const page = await open(browser, `${server.url}/admin`);
    await page.evaluate((key) => sessionStorage.setItem('mixdown.admin', key), KEY);
    await page.goto(`${server.url}/admin#/rooms/door`);
    await page.reload();
    await until('Bob', () => page.$('[aria-label="Let bob come back"]'));
    await page.$eval('[aria-label="Let bob come back"]', (button) => button.click());
    await until('nobody', async () => (await removed()).length === 0);
    await until('no list', () => page.$eval('[aria-labelledby=removed-title]', (section) => section.hidden));
    await page.close();
  });
});
