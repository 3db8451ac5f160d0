/** What senders in Chromium send, held against what they are asked for: no more than their tile is worth, and next to nothing where nobody sees them. */

import assert from 'node:assert/strict';
import { chromium, missing, mixdown, open, quit, serve, story, until } from './harness.mjs';

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

story('what senders are asked for', missing.mixdown || missing.chromium, (test, { before, after }) => {
  let browser;
  let server;
  let origin;

  const change = async (room, settings) => {
    const response = await fetch(`${server.url}/v1/rooms/${room}/views/main`, { method: 'PATCH', headers: { 'Content-Type': 'application/merge-patch+json' }, body: JSON.stringify(settings) });
    assert.ok(response.ok, await response.text());
  };

  /** A room of two tiles of 640 × 360: somebody who sends a picture that is hard to code, and somebody who looks. */
  async function meet(room, sending) {
    const body = JSON.stringify({ canvas: { width: 1280, height: 720 }, layout: { type: 'grid', transition: { ms: 0 } } });
    assert.equal((await fetch(`${server.url}/v1/rooms/${room}`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body })).status, 201);
    const [sender, viewer] = [await open(browser, `${origin.url}/test/sender.html`), await open(browser, `${origin.url}/test/sender.html`)];
    for (const page of [sender, viewer]) await until('the page is ready', () => page.evaluate(() => Boolean(window.bot)));
    const id = await sender.evaluate((all) => bot.join(all), { id: 0, room, busy: true, ...sending });
    await viewer.evaluate((all) => bot.join(all), { id: 1, room, camera: false });
    const close = () => Promise.all([sender.close(), viewer.close()]);
    return { id, close, sent: () => rates(sender) };
  }

  /** What a page has sent over a second and a half: kb/s in all, and pictures per second by layer. */
  async function rates(page) {
    const from = await page.evaluate(() => bot.sent());
    await pass(1500);
    const to = await page.evaluate(() => bot.sent());
    const seconds = (to.at - from.at) / 1000;
    const pictures = Object.fromEntries(Object.entries(to.pictures).map(([layer, count]) => [layer, Math.round((count - (from.pictures[layer] ?? 0)) / seconds)]));
    return { kbps: Math.round(((to.bytes - from.bytes) * 8) / 1000 / seconds), pictures };
  }

  const settles = (what, sender, fits) => until(what, async () => {
    const sent = await sender.sent();
    return fits(sent) ? sent : ((settles.last = sent), null);
  }, 20_000, () => JSON.stringify(settles.last));

  before(async () => {
    server = await mixdown();
    origin = await serve(server.url);
    browser = await chromium();
  });
  after(async () => {
    await quit(browser);
    origin?.close();
    await server?.stop();
  });

  test('one picture: its rate follows the size of its tile, down to next to nothing and up again', async () => {
    const sender = await meet('one', {});
    const whole = await settles('all that its tile is worth', sender, ({ kbps }) => kbps > 750);
    await change('one', { canvas: { width: 640, height: 360 } });
    const small = await settles('less for a smaller tile', sender, ({ kbps }) => kbps < 500);
    await change('one', { exclude: [sender.id] });
    const unseen = await settles('little where nobody sees it', sender, ({ kbps }) => kbps < 320);
    await change('one', { exclude: [], canvas: { width: 1280, height: 720 } });
    const again = await settles('as before', sender, ({ kbps }) => kbps > 750);
    console.log(`# kb/s: ${[whole, small, unseen, again].map(({ kbps }) => kbps).join(', ')}`);
    await sender.close();
  });

  test('three layers: the larger ones go where nobody sees them, and come back', async () => {
    const sender = await meet('three', { simulcast: true, width: 960, height: 540 });
    const flow = ({ q, h, f }) => [q, h, f].map((pictures) => pictures > 2);
    const whole = await settles('layers for a tile of 360 lines', sender, ({ pictures }) => flow(pictures)[0] && flow(pictures)[1]);
    await change('three', { exclude: [sender.id] });
    const unseen = await settles('the lowest layer alone', sender, ({ pictures }) => flow(pictures).join() === 'true,false,false');
    await change('three', { exclude: [] });
    const again = await settles('the larger ones again', sender, ({ pictures }) => flow(pictures)[1]);
    console.log(`# ${[whole, unseen, again].map((sent) => JSON.stringify(sent)).join(' ')}`);
    await sender.close();
  });
});
