/** Chromium behind a link that gets thin and comes back (docs/faults.md, F12), as it and the link itself see it: of a picture that takes what there is. */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart, impair, portOf, through } from './impair.mjs';
import { artifacts, chromium, missing, mixdown, open, quit, serve, story, until } from './harness.mjs';

const WHOLE = 2_000_000;
const THIN = 150_000;
const EVERY_MS = 250;
const folder = join(artifacts, '..', 'links');

story('a thin link', missing.mixdown || missing.chromium, (test, { before, after }) => {
  let browser;
  let server;
  let origin;
  let bad;
  let link;
  let viewer;
  let sampling;
  const rows = [];

  /** What has come since `from` seconds: rates per second, the worst of the rest. */
  const since = (from) => {
    const part = rows.filter(({ at }) => at >= from);
    const [first, last] = [part[0], part.at(-1)];
    const seconds = last.at - first.at;
    const growth = (name) => (last[name] - first[name]) / seconds;
    return { sent: growth('offered') * 8, pictures: growth('frames'), concealed: growth('concealed') / 48_000, sound: growth('samples') / 48_000, queue: Math.max(...part.map(({ queue }) => queue)) };
  };
  const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const now = () => rows.at(-1).at;

  before(async () => {
    // Which sends no checks of its own: they would find a way around the proxy.
    server = await mixdown({ env: { MIXDOWN_NET_ICE_LITE: 'true' } });
    origin = await serve(server.url);
    browser = await chromium();
    const sender = await open(browser, `${origin.url}/test/sender.html`);
    await until('the page is ready', () => sender.evaluate(() => Boolean(window.bot)));
    await sender.evaluate(() => bot.join({ id: 0, room: 'thin', width: 640, height: 360, busy: true }));
    bad = await serve(server.url, async (sdp) => {
      link ??= await impair(portOf(sdp));
      Object.assign(link.down.link, { rate: WHOLE, delay: 25 });
      link.up.link.delay = 25;
      return through(sdp, link.port);
    });
    viewer = await open(browser, `${bad.url}/test/sender.html`);
    await until('the page is ready', () => viewer.evaluate(() => Boolean(window.bot)));
    const own = await viewer.evaluate(() => bot.join({ id: 1, room: 'thin', camera: false }));
    await until('the sender is seen', async () => (await viewer.evaluate(() => bot.see())).some(({ code }) => code?.id === 0), 15_000);
    const began = performance.now();
    const sample = async () => {
      const seen = await viewer.evaluate(() => bot.counts());
      const { stats } = await (await fetch(`${server.url}/v1/rooms/thin/participants/${own}`)).json();
      const { offered, waits: queue, link: { rate } } = link.down;
      rows.push({ at: (performance.now() - began) / 1000, link: rate, estimate: stats?.estimate_bps ?? NaN, offered, queue, ...seen });
    };
    sampling = setInterval(() => sample().catch(() => {}), EVERY_MS);
  });
  after(async () => {
    clearInterval(sampling);
    await keep().catch(() => {});
    await quit(browser);
    link?.close();
    origin?.close();
    bad?.close();
    await server?.stop();
  });

  /** The run as a chart and a table. */
  async function keep() {
    const shown = rows.slice(4).map((row, index) => {
      const before = rows[index];
      const per = (name) => (row[name] - before[name]) / (row.at - before.at);
      return { at: row.at, link: row.link, estimate: row.estimate, sent: per('offered') * 8, pictures: per('frames'), queue: row.queue, freeze: (row.frozen - before.frozen) * 1000, 'sound gap': (row.concealed - before.concealed) / 48 };
    });
    mkdirSync(folder, { recursive: true });
    const names = Object.keys(shown[0]);
    writeFileSync(join(folder, 'chromium.csv'), `${names.join(',')}\n${shown.map((row) => names.map((name) => Math.round(row[name] * 10) / 10).join(',')).join('\n')}\n`);
    const page = await browser.newPage();
    await page.setViewport({ width: 1000, height: 580 });
    await page.setContent(chart('Chromium: 2 Mb/s, 150 kb/s, 2 Mb/s', shown, { 'bit/s': ['link', 'estimate', 'sent'], 'pictures per second': ['pictures'], ms: ['queue', 'freeze', 'sound gap'] }));
    await page.screenshot({ path: join(folder, 'chromium.png') });
  }

  let whole;

  test('a link of 2 Mb/s is served whole', async () => {
    await pass(6000);
    whole = since(now() - 3);
    assert.ok(whole.sent > 100_000, `the link is in use: ${JSON.stringify(whole)}`);
    assert.ok(whole.pictures > 16 && whole.concealed < 0.02, JSON.stringify(whole));
  });

  test('on 150 kb/s the sound goes on and the picture can be followed', async () => {
    link.down.link.rate = THIN;
    await pass(3500);
    const early = now();
    await pass(2000);
    assert.ok(since(early).sent < THIN * 1.1, `after three seconds: ${JSON.stringify(since(early))}`);
    const from = now();
    await pass(5000);
    const thin = since(from);
    assert.ok(thin.queue < 400 && thin.sent < THIN, JSON.stringify(thin));
    assert.ok(thin.pictures >= 7, JSON.stringify(thin));
    assert.ok(thin.sound > 0.95 && thin.concealed < 0.05, JSON.stringify(thin));
  });

  test('when it comes back, 80 % of what there was is back within 15 s', async () => {
    link.down.link.rate = WHOLE;
    const from = now();
    const back = () => now() > from + 3 && since(now() - 2);
    const rate = await until('the rate is back', () => (back().sent >= whole.sent * 0.8 && back().pictures >= whole.pictures * 0.8 ? back() : null), 15_000, () => JSON.stringify({ whole, back: back() }));
    console.log(`# back at ${Math.round(rate.sent / 1000)} of ${Math.round(whole.sent / 1000)} kb/s after ${Math.round(now() - from)} s`);
  });
});
