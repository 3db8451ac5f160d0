import assert from 'node:assert/strict';
import { chromium, firefox, missing, mixdown, open, quit, shoot, story, until } from './harness.mjs';

const BROWSERS = { chromium, firefox };

for (const [name, launch] of Object.entries(BROWSERS)) {
  story(`the pages in ${name}`, missing.mixdown || missing[name], (test, { before, after }) => {
    let server;
    let browser;
    let page;
    let other;
    const text = (at, selector) => at.$eval(selector, (element) => element.textContent);
    const hidden = (at, selector) => at.$eval(selector, (element) => element.hidden);
    // Found and clicked in one go: between two, a list may be drawn anew.
    const press = (at, selector) => at.evaluate((selector) => document.querySelector(selector).click(), selector);

    /** Opens the room's link, clicks Join, waits for the picture. @returns milliseconds from the click */
    async function enter(at, who) {
      await at.waitForSelector('#join');
      await at.$eval('#name', (input, value) => { input.value = value; }, who);
      const began = Date.now();
      await press(at, '#join');
      await until('the picture is there', () => at.evaluate(() => {
        const waiting = document.getElementById('waiting');
        return Boolean(waiting) && !document.getElementById('room').hidden && waiting.hidden;
      }).catch(() => false), 10_000);
      return Date.now() - began;
    }

    before(async () => {
      server = await mixdown();
      browser = await launch();
    });
    after(async () => {
      await quit(browser);
      await server?.stop();
    });

    test('the link of a room and a click on Join show the picture within two seconds', async () => {
      page = await open(browser, `${server.url}/r/pages`);
      const took = await enter(page, 'Ann');
      assert.ok(took < 2000, `${took} ms`);
      assert.equal(await text(page, '#room-name'), 'pages');
    });

    test('the join page leads into the room that it names', async () => {
      other = await open(browser, `${server.url}/?room=pages`);
      await until('the room of the link', async () => (await other.$eval('#room', (input) => input.value)) === 'pages');
      const took = await enter(other, 'Bob');
      assert.ok(took < 4000, `${took} ms`);
      assert.match(other.url(), /\/r\/pages$/);
      for (const each of [page, other]) await until('two people', async () => (await text(each, '#count')) === '2');
    });

    test('the own camera lies over the own tile, mirrored, until it is switched off', async () => {
      await until('the own picture', async () => !(await hidden(page, '#self')));
      const [box, frame] = await page.evaluate(() => [document.getElementById('self'), document.getElementById('frame')].map((element) => element.getBoundingClientRect().toJSON()));
      assert.ok(box.width > 50 && box.left >= frame.left - 1 && box.right <= frame.right + 1, 'inside the frame');
      assert.match(await page.$eval('#self-video', (video) => getComputedStyle(video).transform), /matrix\(-1/);
      await press(page, '#mirror');
      assert.equal(await hidden(page, '#self'), true);
      await press(page, '#mirror');
      assert.equal(await hidden(page, '#self'), false);
      await shoot(page, `pages-${name}`);
    });

    test('chat typed by one is read by the other, and counted while it is closed', async () => {
      // What comes right after the greeting counts as said before one came.
      await new Promise((resolve) => setTimeout(resolve, 500));
      await press(page, '#chat');
      await page.$eval('#chat-text', (input) => { input.value = 'see https://example.org/a'; });
      await page.$eval('#compose', (form) => form.requestSubmit());
      await until('the message', async () => (await text(other, '#messages')).includes('see https://example.org/a'));
      assert.equal(await text(other, '#unread'), '1');
      assert.equal(await other.$eval('#messages a', (link) => link.rel), 'noopener noreferrer nofollow');
      assert.match(await text(other, '#live'), /see https/);
      await press(page, '#panel-close');
    });

    test('keys mute, and the others are told', async () => {
      await page.bringToFront();
      await page.keyboard.press('m');
      await until('muted', async () => (await page.$eval('#mic', (button) => button.getAttribute('aria-pressed'))) === 'false');
      await press(other, '#people-button');
      await until('the list says so', () => other.$$eval('#people .sign', (signs) => signs.some((sign) => sign.getAttribute('aria-label') === 'microphone off')));
      await page.keyboard.press('m');
      await page.keyboard.press('?');
      await until('the help', () => page.$eval('#shortcuts', (dialog) => dialog.open));
      await page.keyboard.press('Escape');
    });

    test('a camera that is switched off gives way to initials', async () => {
      await press(page, '#camera');
      await until('off', async () => (await page.$eval('#camera', (button) => button.getAttribute('aria-pressed'))) === 'false');
      assert.equal(await hidden(page, '#self'), true);
      await press(page, '#camera');
      await until('on', async () => !(await hidden(page, '#self')));
    });

    test('the connection panel shows what arrives', async () => {
      await press(page, '#stats-button');
      const words = ['Codec', 'Bitrate', 'Loss', 'Jitter', 'Round trip', 'Freezes'];
      await until('figures', async () => {
        const shown = await text(page, '#stats');
        return /\d+×\d+/.test(shown) && words.every((word) => shown.includes(word));
      });
      await shoot(page, `pages-stats-${name}`);
      await press(page, '#panel-close');
    });

    test('every control has a name and can be reached by keyboard', async () => {
      const nameless = await page.$$eval('button, input, select, a[href], [role=tab]', (all) => all
        .filter((element) => element.checkVisibility())
        .filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length) || element.tabIndex < 0)
        .map((element) => element.outerHTML.slice(0, 80)));
      assert.deepEqual(nameless, []);
      const tiles = await page.$$eval('#tiles li', (items) => items.map((item) => item.textContent));
      assert.equal(tiles.length, 2);
      assert.ok(tiles.some((tile) => tile.startsWith('Bob')) && tiles.some((tile) => tile.includes('you')), tiles.join());
    });

    test('on a phone everything fits, also while the room is recorded', async () => {
      const before = page.viewport();
      for (const width of [390, 344]) {
        await page.setViewport({ width, height: 760 });
        const misplaced = () => page.evaluate(() => {
          document.getElementById('recording').hidden = false;
          const all = [...document.querySelectorAll('#controls button, .top button, .top select, #frame, #room-name')].filter((element) => element.checkVisibility());
          const bad = all.filter((element) => {
            const { left, right, width: wide } = element.getBoundingClientRect();
            return left < -0.5 || right > innerWidth + 0.5 || wide < 32;
          });
          document.getElementById('recording').hidden = true;
          return bad.map((element) => `${element.id} ${JSON.stringify(element.getBoundingClientRect())}`);
        });
        // The picture follows with the next frame.
        let last;
        await until(`all fits ${width} pixels`, async () => (last = await misplaced()).length === 0, 3000, () => last.join('; '));
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width} wide`);
      }
      await shoot(page, `pages-phone-${name}`);
      await page.setViewport(before ?? { width: 800, height: 600 });
    });

    test('one who is muted by a moderator sees it, and speaks again once the moderator takes it back', async () => {
      const on = () => other.$eval('#mic', (button) => button.getAttribute('aria-pressed') === 'true');
      if (!(await on())) await press(other, '#mic');
      await until('a microphone that is on', () => page.$('#people [data-act=mute]'));
      await press(page, '#people [data-act=mute]');
      await until('the microphone is off', async () => !(await on()));
      assert.match(await text(other, '#live'), /moderator has muted/);
      await press(other, '#mic');
      const told = (words) => until(words, async () => (await other.evaluate(() => document.body.textContent)).includes(words), 20_000);
      await told('an operator muted you');
      await until('a try that is refused leaves it off', async () => !(await on()));
      await press(page, '#people [data-act=release]');
      await told('lets you speak again');
      await press(other, '#mic');
      await until('it is on for both', async () => (await on()) && Boolean(await page.$('#people [data-act=mute]')));
    });

    test('one who comes later reads what was said, without being told of it', async () => {
      const late = await open(browser, `${server.url}/r/pages`);
      await enter(late, 'Cy');
      await until('the message', async () => (await text(late, '#messages')).includes('see https://example.org/a'));
      assert.equal(await text(late, '#unread'), '0');
      assert.ok(!(await text(late, '#live')).includes('see https'));
      await page.evaluate(() => { window.confirm = () => true; });
      await until('Cy is listed', () => page.$('#people [data-act=remove][data-name=Cy]'));
      await press(page, '#people [data-act=remove][data-name=Cy]');
      await until('the end', async () => !(await hidden(late, '#over')));
      assert.match(await text(late, '#over'), /removed/i);
      await late.close();
      await until('two people', async () => (await text(page, '#count')) === '2');
    });

    test('one who leaves is missed by the other', async () => {
      await press(other, '#leave');
      await until('the farewell', async () => !(await hidden(other, '#over')));
      await until('one person', async () => (await text(page, '#count')) === '1');
      assert.match(await text(page, '#live'), /Bob left/);
    });

    test('when the server comes back after a crash, the page joins again by itself', async () => {
      await server.stop('SIGKILL');
      await until('the banner', async () => !(await hidden(page, '#banner')), 20_000);
      server = await mixdown({ port: server.port });
      await until('joined again', () => hidden(page, '#banner'), 30_000);
      await page.bringToFront();
      await page.$eval('#composite', (video) => {
        window.shown = 0;
        const count = () => { window.shown += 1; video.requestVideoFrameCallback(count); };
        video.requestVideoFrameCallback(count);
      });
      await until('the picture moves', () => page.evaluate(() => window.shown > 3));
    });

    test('a camera that is allowed only after the picture is there is sent all the same', async () => {
      const slow = await browser.newPage();
      await slow.evaluateOnNewDocument(() => {
        const devices = navigator.mediaDevices;
        const capture = devices.getUserMedia.bind(devices);
        const allowed = new Promise((resolve) => { window.allow = resolve; });
        devices.getUserMedia = async (wanted) => {
          await allowed;
          return capture(wanted);
        };
      });
      await slow.goto(`${server.url}/r/pages`);
      await enter(slow, 'Una');
      assert.equal(await hidden(slow, '#self'), true, 'not open yet');
      await slow.evaluate(() => window.allow());
      await until('the own picture', async () => !(await hidden(slow, '#self')));
      const own = await slow.$eval('#tiles', (list) => list.textContent);
      assert.match(own, /Una \(you/);
      await slow.close();
    });

    test('a server that has too much to do for a moment is asked again by the page itself', async () => {
      const late = await open(browser, `${server.url}/r/pages`);
      await late.waitForSelector('#join');
      await late.evaluate(() => {
        const { fetch } = window;
        window.refused = 0;
        window.fetch = async (path, options) => {
          if (options?.method !== 'POST' || window.refused === 2) return fetch(path, options);
          window.refused += 1;
          const problem = { type: '/problems/overloaded', title: 'The server is overloaded', status: 503, detail: 'at most 15 pictures per second' };
          return new Response(JSON.stringify(problem), { status: 503, headers: { 'Content-Type': 'application/problem+json', 'Retry-After': '1' } });
        };
      });
      await press(late, '#join');
      await until('it says so', async () => /busy/.test(await text(late, '.error')));
      await until('it is in', () => late.evaluate(() => document.body.className === 'in-room'));
      assert.equal(await late.evaluate(() => window.refused), 2);
      await late.close();
    });

    test('a page without camera and microphone watches and listens', async () => {
      const watcher = await browser.newPage();
      await watcher.evaluateOnNewDocument(() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined }));
      await watcher.goto(`${server.url}/r/pages`);
      await enter(watcher, 'Eve');
      assert.equal(await watcher.$eval('#mic', (button) => button.getAttribute('aria-pressed')), 'false');
      await watcher.close();
    });

    test('nothing is refused by the content policy', () => {
      const refused = [page, other].flatMap((each) => each.complaints).filter((line) => /Content.Security.Policy|Refused to/i.test(line));
      assert.deepEqual(refused, []);
    });
  });
}
