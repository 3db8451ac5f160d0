import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifacts, chromium, firefox, missing, mixdown, open, quit, shoot, story, until } from './harness.mjs';

/** A picture of 2 × 2. */
const RED = 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==';
const BROWSERS = { chromium, firefox };

for (const [name, launch] of Object.entries(BROWSERS)) {
  story(`the console and the documentation in ${name}`, missing.mixdown || missing[name], (test, { before, after }) => {
    let server;
    let browser;
    let page;
    let guest;
    const text = (selector) => page.$eval(selector, (element) => element.textContent);
    const press = (selector) => page.$eval(selector, (element) => element.click());
    const api = async (method, path, body) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const response = await fetch(server.url + path, { method, body: body && JSON.stringify(body), headers: body ? { 'Content-Type': type } : {} });
      return response.status === 204 ? null : response.json();
    };
    const layout = () => api('GET', '/v1/rooms/stage/views/main/layout');
    const choose = (selector, value) => page.$eval(selector, (field, wanted) => {
      field.value = wanted;
      field.dispatchEvent(new Event('change', { bubbles: true }));
    }, value);

    /** Whether the composed picture shows somebody there, and not the background (#101014). @param {number} x @param {number} y */
    const filled = (x, y) => page.evaluate(async (...at) => {
      const bitmap = await createImageBitmap(await (await fetch('/v1/rooms/stage/views/main/snapshot.png')).blob());
      const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
      const brush = canvas.getContext('2d');
      brush.drawImage(bitmap, 0, 0);
      const [red, green, blue] = brush.getImageData(at[0] * bitmap.width, at[1] * bitmap.height, 1, 1).data;
      return red + green + blue > 90;
    }, x, y);

    /** What was applied has been taken over: a draft that is begun now is one of its own. */
    const inForce = () => page.waitForFunction(() => document.querySelector('.layout-pane .primary').disabled);

    /** Drags from the middle of an element. @param {string} selector @param {number} dx @param {number} dy */
    async function drag(selector, dx, dy) {
      const { x, y, width, height } = await page.$eval(selector, (element) => {
        element.scrollIntoView({ block: 'center' });
        return element.getBoundingClientRect().toJSON();
      });
      await page.mouse.move(x + width / 2, y + height / 2);
      await page.mouse.down();
      await page.mouse.move(x + width / 2 + dx / 2, y + height / 2 + dy / 2);
      await page.mouse.move(x + width / 2 + dx, y + height / 2 + dy);
      await page.mouse.up();
    }

    before(async () => {
      server = await mixdown();
      browser = await launch();
      await api('PUT', '/v1/rooms/stage', {});
      guest = await open(browser, `${server.url}/r/stage`);
      await guest.waitForSelector('#join');
      await guest.$eval('#name', (input) => { input.value = 'Ann'; });
      await guest.$eval('#join', (button) => button.click());
      page = await open(browser, `${server.url}/admin`);
      await page.setViewport({ width: 1500, height: 1000 });
      await page.evaluate(() => { window.confirm = () => true; });
    });
    after(async () => {
      await quit(browser);
      await server?.stop();
    });

    test('rooms are listed with a picture of what they compose, and can be made', async () => {
      await until('the room', async () => (await text('.room-cards')).includes('stage'));
      await until('its picture', () => page.$eval('.room-card img', (image) => image.naturalWidth > 0));
      await page.type('#new-room', 'second');
      await press('form.row button');
      await until('two rooms', async () => (await text('.room-cards')).includes('second'));
      assert.match(await text('.figures'), /rooms/);
      await shoot(page, `admin-rooms-${name}`);
    });

    test('a room shows its picture, its people and what happens', async () => {
      await page.goto(`${server.url}/admin#/rooms/stage`);
      await page.evaluate(() => { window.confirm = () => true; });
      await until('Ann', async () => (await text('.people-table')).includes('Ann'));
      await until('how loud she is', () => page.$eval('.people-table meter', (meter) => meter.value > meter.min));
      await until('the picture', () => page.$eval('.stage-frame img', (image) => image.naturalWidth === 1280));
      await until('events', async () => (await text('.log')).includes('participant.joined'));
    });

    test('whatever can be pressed is in sight, in a narrower window too', async () => {
      for (const width of [1500, 1280, 1100, 700, 380]) {
        await page.setViewport({ width, height: 1000 });
        const cut = await page.$$eval('.card :is(button, input, select)', (all) => all.filter((element) => element.checkVisibility()).filter((element) => {
          const [own, card] = [element, element.closest('.card')].map((each) => each.getBoundingClientRect());
          return own.right > card.right + 0.5 || own.left < card.left - 0.5 || own.width < 10;
        }).map((element) => element.id || element.textContent || element.outerHTML.slice(0, 80)));
        assert.deepEqual(cut, [], `${width} wide`);
      }
      await page.setViewport({ width: 1500, height: 1000 });
    });

    test('the picture is live, the console is nobody in the room, and stills do where live is off', async () => {
      await until('a live picture', () => page.$eval('.stage-frame video', (video) => !video.hidden && video.videoWidth === 1280));
      await page.$eval('.stage-frame video', async (video) => {
        for (let shown = 0; shown < 20; shown += 1) await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
      });
      assert.equal(await text('#live-state'), 'live');
      assert.equal(await page.$$eval('.people-table tbody tr', (rows) => rows.length), 1, 'Ann alone');
      await page.focus('button[title^="Off: stills"]');
      await page.keyboard.press('Enter');
      await until('stills', async () => (await text('#live-state')) === 'stills' && page.$eval('.stage-frame img', (image) => !image.hidden));
      await until('nobody watches', async () => (await api('GET', '/v1/rooms/stage/participants')).items.length === 1);
      await page.keyboard.press('Enter');
      await until('live again', async () => (await text('#live-state')) === 'live');
    });

    test('the picture is live in a room with a waiting room too, where nobody asks who the console is', async () => {
      const live = () => press('button[title^="Off: stills"]');
      await live();
      await api('PATCH', '/v1/rooms/stage', { waiting_room: true });
      await live();
      await until('live at once', async () => (await text('#live-state')) === 'live');
      await api('PATCH', '/v1/rooms/stage', { waiting_room: false });
    });

    test('a layout is a draft until it is applied, and can be undone', async () => {
      await choose('#layout-type', 'speaker');
      assert.equal((await layout()).type, 'auto');
      await press('.layout-pane .primary');
      await until('applied', async () => (await layout()).type === 'speaker');
      await inForce();
      await press('.layout-pane button[title^=Undo]');
      assert.equal(await page.$eval('#layout-type', (field) => field.value), 'auto');
      await press('.layout-pane .primary');
      await until('back', async () => (await layout()).type === 'auto');
      await inForce();
    });

    test('somebody else\'s change is not overwritten unseen', async () => {
      await choose('#layout-type', 'grid');
      await api('PATCH', '/v1/rooms/stage/views/main/layout', { gap: 12 });
      await press('.layout-pane .primary');
      await until('a notice', async () => (await text('#live')).includes('Somebody else'));
      assert.equal((await layout()).type, 'auto');
      await press('.layout-pane button[title^=Undo]');
      assert.equal(await page.$eval('#field-gap', (field) => field.value), '12', 'theirs');
    });

    test('what is chosen while a layout is being applied stays a draft', async () => {
      await page.evaluate(() => {
        const send = window.fetch;
        const held = new Promise((resolve) => { window.letGo = resolve; });
        window.fetch = async (path, options) => {
          if (options?.method !== 'PUT') return send(path, options);
          const answer = await send(path, options);
          await held;
          window.fetch = send;
          return answer;
        };
      });
      await choose('#layout-type', 'speaker');
      await press('.layout-pane .primary');
      await until('the server has it', async () => (await layout()).type === 'speaker');
      await choose('#layout-type', 'grid');
      await page.evaluate(() => window.letGo());
      await until('the answer is there', async () => (await text('#live')).includes('Layout applied'));
      assert.equal(await page.$eval('#layout-type', (field) => field.value), 'grid');
      await press('.layout-pane .primary');
      await until('and is applied', async () => (await layout()).type === 'grid');
      await inForce();
    });

    test('a draft says what it costs and what is probably not meant, and layouts are saved and taken', async () => {
      await api('PUT', '/v1/layouts/panel', { type: 'custom', regions: [{ id: 'host', width: '1/2', seat: { role: 'nobody' } }, { x: '1/2', width: '1/2' }] });
      await choose('#layout-type', 'custom');
      await page.type('#save-as', 'mine');
      await press('.layout-pane div:has(> #save-as) button');
      await until('both are listed', async () => (await page.$$eval('#saved-layout option', (all) => all.map((each) => each.textContent))).join() === 'mine,panel');
      assert.equal((await api('GET', '/v1/layouts/mine')).type, 'custom');
      await choose('#saved-layout', 'panel');
      await press('.layout-pane div:has(> #saved-layout) button');
      await until('its regions', () => page.$$eval('.region-name', (all) => all[0]?.textContent === 'host'));
      await until('a warning', async () => /region 1 seat: nobody here can sit there/.test(await text('.verdict')));
      assert.match(await text('.verdict'), /\d+ ms of processor time/);
      assert.equal((await layout()).type, 'grid', 'a draft');
    });

    test('a layout of groups is shown as one, and regions take its place', async () => {
      await api('PUT', '/v1/layouts/panel', { type: 'custom', groups: [{ max: 2, regions: [{}] }, { max: 9, regions: [{ tiles: 9 }] }] });
      await press('.layout-pane div:has(> #saved-layout) button');
      await until('it is said', async () => /2 groups/.test(await text('.custom-tools')));
      await press('.layout-pane .primary');
      await until('applied', async () => (await layout()).groups.length === 2);
      await inForce();
      await choose('.custom-tools select', 'Two beside each other');
      await press('.layout-pane .primary');
      await until('regions', async () => (await layout()).regions.length === 2 && (await layout()).groups.length === 0);
      await inForce();
    });

    test('a region is for a picture that is picked, and stays so when something else of it is changed', async () => {
      const file = join(artifacts, 'red.png');
      writeFileSync(file, Buffer.from(RED, 'base64'));
      await choose('.custom-tools select', 'Two beside each other');
      await page.focus('.region:nth-child(2)');
      await choose('#region-seat', 'image');
      const input = await page.$('#region-picture');
      await input.uploadFile(file);
      await until('it is said', () => page.$eval('.region:nth-child(2) .region-seat', (seat) => seat.textContent === 'a picture'));
      await choose('#region-id', 'logo');
      await until('it is named', () => page.$eval('.region:nth-child(2) .region-name', (name) => name.textContent === 'logo'));
      await press('.layout-pane .primary');
      await until('applied', async () => (await layout()).regions[1].seat.image?.startsWith('data:image/png'));
      await inForce();
    });

    test('a picture goes into the region that it was picked for, whichever is shown when it has been read', async () => {
      await page.evaluate(() => {
        const read = FileReader.prototype.readAsDataURL;
        FileReader.prototype.readAsDataURL = function held(file) {
          FileReader.prototype.readAsDataURL = read;
          window.letRead = () => read.call(this, file);
        };
      });
      const seats = () => page.$$eval('.region-seat', (all) => all.map((seat) => seat.textContent));
      await choose('.custom-tools select', 'Two beside each other');
      await page.focus('.region:nth-child(2)');
      await choose('#region-seat', 'image');
      await (await page.$('#region-picture')).uploadFile(join(artifacts, 'red.png'));
      await until('it is being read', () => page.evaluate(() => window.letRead !== undefined));
      await page.focus('.region:nth-child(1)');
      await choose('#region-z', '5');
      await page.evaluate(() => window.letRead());
      await until('the second has it', async () => (await seats())[1] === 'a picture');
      assert.notEqual((await seats())[0], 'a picture');
      assert.equal(await page.$eval('.region:nth-child(1)', (element) => element.style.zIndex), '6', 'and the first what was done about it meanwhile');
      await press('.layout-pane .primary');
      await inForce();
    });

    test('a text is laid over the picture, is composed, and taken away', async () => {
      await choose('#layout-type', 'auto');
      await press('.layout-pane .primary');
      await until('Ann fills the canvas', () => filled(0.5, 0.995));
      await inForce();
      await choose('#overlay-type', 'ticker');
      await page.$eval('#overlay-text', (field) => { field.value = 'Welcome'; });
      await press('.overlay-tools > button');
      assert.deepEqual((await layout()).overlays, [], 'a draft');
      await press('.layout-pane .primary');
      await until('its band is dark', async () => !(await filled(0.5, 0.995)));
      await inForce();
      await press('.overlay-tools .overlays button');
      await press('.layout-pane .primary');
      await until('Ann is there again', () => filled(0.5, 0.995));
      await inForce();
    });

    test('what is played into the room is listed, and stopped', async () => {
      await api('POST', '/v1/rooms/stage/ingress', { picture: `data:image/png;base64,${RED}`, name: 'Back soon' });
      await until('it is listed', async () => (await text('.ingress')).includes('Back soon'));
      await until('it is among the people', async () => (await text('.people-table')).includes('Back soon'));
      await press('.ingress [data-key$=" stop"]');
      await until('it is gone', async () => (await api('GET', '/v1/rooms/stage/ingress')).items.length === 0);
      await page.type('#ingress-what', '../secret.mp4');
      await page.keyboard.press('Enter');
      await until('a refusal', async () => (await text('body')).includes('ingress.folder'));
      await page.$eval('#ingress-what', (field) => { field.value = ''; });
    });

    test('people are muted, pinned, given a role and removed', async () => {
      const person = async () => (await api('GET', '/v1/rooms/stage/participants')).items[0];
      await press('[data-key$=" mute"]');
      await until('muted', async () => (await person()).muted_audio);
      await press('[data-key$=" pin"]');
      await until('pinned', async () => (await person()).pinned);
      await page.$eval('[data-key$=" role"]', (field) => { field.value = 'host'; field.dispatchEvent(new Event('change')); });
      await until('a role', async () => (await person()).role === 'host');
      await until('the button says so', () => page.$eval('[data-key$=" pin"]', (button) => button.getAttribute('aria-pressed') === 'true'));
    });

    test('a filter takes somebody out of the picture and out of the mix, and lets them in again', async () => {
      const view = () => api('GET', '/v1/rooms/stage/views/main');
      const [{ id }] = (await api('GET', '/v1/rooms/stage/participants')).items;
      assert.ok(await filled(0.5, 0.5));
      for (const list of ['exclude', 'unheard']) {
        await choose(`#view-${list}`, `participant:${id}`);
        await page.$eval(`#view-${list}`, (select) => select.closest('fieldset').querySelector('.row button').focus());
        await page.keyboard.press('Enter');
      }
      assert.deepEqual((await view()).exclude, [], 'a draft until it is applied');
      await shoot(page, `admin-filter-${name}`);
      await page.focus('.view-pane .primary');
      await page.keyboard.press('Enter');
      await until('applied', async () => (await view()).exclude[0] === id && (await view()).audio.exclude[0] === id);
      await until('Ann is not seen', async () => !(await filled(0.25, 0.25)));
      await page.focus('.view-pane .chip button');
      await page.keyboard.press('Enter');
      // What the server tells of the change before may come in between and show the filter as it is there.
      await until('she is again', async () => {
        await page.$$eval('.view-pane .chip button', (buttons) => buttons.forEach((button) => button.click()));
        await press('.view-pane .primary');
        return (await view()).exclude.length === 0 && (await view()).audio.exclude.length === 0 && (await filled(0.25, 0.25));
      });
    });

    test('a sidebar is made, filled, heard by all and ended', async () => {
      const sidebars = async () => (await api('GET', '/v1/rooms/stage/sidebars')).items;
      const [{ id }] = (await api('GET', '/v1/rooms/stage/participants')).items;
      await page.type('#new-sidebar', 'whisper');
      await page.keyboard.press('Enter');
      await until('an empty one', async () => (await sidebars())[0]?.participants.length === 0);
      await until('its row', () => page.$('.sidebar[data-name=whisper] [data-key$=" add"]:not(:disabled)'));
      await press('.sidebar[data-name=whisper] [data-key$=" add"]');
      await until('Ann is in it', async () => (await sidebars())[0].participants[0] === id);
      await until('and is shown', async () => (await text('.sidebar .chips')).includes('Ann'));
      // Found and ticked in one go: the list may be drawn anew at any time, and a box that is out of the document tells nobody.
      await page.evaluate(() => document.querySelector('.sidebar [data-key$=" heard"]').click());
      await until('heard by all', async () => (await sidebars())[0].heard_by_all);
      await press('.sidebar [data-key$=" end"]');
      await until('none', async () => (await sidebars()).length === 0);
    });

    test('a button that is pressed while the list is drawn anew still works', async () => {
      const pinned = async () => (await api('GET', '/v1/rooms/stage/participants')).items[0].pinned;
      const before = await pinned();
      const { x, y, width, height } = await page.evaluate(() => {
        const button = document.querySelector('.people-table [data-key$=" pin"]');
        button.scrollIntoView({ block: 'center' });
        return button.getBoundingClientRect().toJSON();
      });
      const old = () => page.$('.people-table [data-before]');
      await page.mouse.move(x + width / 2, y + height / 2);
      await page.mouse.down();
      // Marked only now: until it is pressed it may be drawn anew.
      await page.evaluate((...at) => { document.elementFromPoint(...at).closest('[data-key$=" pin"]').dataset.before = 'yes'; }, x + width / 2, y + height / 2);
      // Levels alone draw the list once a second.
      await page.evaluate(() => performance.clearResourceTimings());
      const drawn = () => page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/participants')).length);
      await until('two more drawings', async () => (await drawn()) >= 3);
      assert.ok(await old(), 'it is still the one that was pressed');
      await page.mouse.up();
      await until('it has worked', async () => (await pinned()) !== before);
      await until('drawn anew, as it is now', () => page.evaluate((before) => {
        const button = document.querySelector('.people-table [data-key$=" pin"]');
        return !button.dataset.before && button.getAttribute('aria-pressed') === String(!before);
      }, before));
      await page.evaluate(() => document.querySelector('.people-table [data-key$=" pin"]').click());
      await until('as it was', async () => (await pinned()) === before);
    });

    test('how a microphone is treated is chosen for one person and for the room', async () => {
      const person = async () => (await api('GET', '/v1/rooms/stage/participants')).items[0];
      await press('[data-key$=" more"]');
      await until('the tools', () => page.$('.person-tools'));
      await choose('.person-tools select[aria-label^="Noise"]', 'true');
      await choose('.person-tools select[aria-label^="Automatic"]', 'false');
      await until('on and off', async () => (await person()).noise_suppression === true && (await person()).auto_gain === false);
      await choose('.person-tools select[aria-label^="Noise"]', '');
      await until('as the room has it', async () => (await person()).noise_suppression === null);
      await press('#room-join_tones');
      await until('tones', async () => (await api('GET', '/v1/rooms/stage')).audio.join_tones);
      const sign = async () => (await api('GET', '/v1/rooms/stage')).recording_sign;
      const before = await sign();
      await press('#room-recording_sign');
      await until('the sign of recordings', async () => (await sign()) !== before);
      await shoot(page, `admin-person-${name}`);
    });

    test('a message reaches the room', async () => {
      await page.type('#say', 'five minutes left');
      await press('.say button');
      await until('it is read', () => guest.$eval('#messages', (element) => element.textContent.includes('five minutes left')));
    });

    test('every control of the room has a name and can be reached by keyboard', async () => {
      const nameless = await page.$$eval('button, input, select, a[href], [role=button]', (all) => all
        .filter((element) => element.checkVisibility())
        .filter((element) => !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length) || element.tabIndex < 0)
        .map((element) => element.outerHTML.slice(0, 80)));
      assert.deepEqual(nameless, []);
    });

    test('regions are dragged, resized and moved by keys, and composed where they were put', async () => {
      await choose('#layout-type', 'custom');
      await choose('.custom-tools select', 'Two beside each other');
      assert.equal(await page.$$eval('.region', (all) => all.length), 2);
      const frame = await page.$eval('.regions', (element) => element.getBoundingClientRect().toJSON());
      await drag('.region:nth-child(2) .edge.w', frame.width / 4, 0);
      const shown = await page.$eval('.region:nth-child(2)', (element) => [element.style.left, element.style.width]);
      assert.deepEqual(shown, ['75%', '25%'], 'snapped to three quarters');
      await page.focus('.region:nth-child(2)');
      await page.keyboard.down('Shift');
      for (let press = 0; press < 24; press += 1) await page.keyboard.press('ArrowUp');
      await page.keyboard.up('Shift');
      await shoot(page, `admin-room-${name}`);
      assert.ok((await filled(0.25, 0.5)) && (await filled(0.62, 0.5)), 'Ann alone fills the canvas');
      await press('.layout-pane .primary');
      await until('applied', async () => (await layout()).type === 'custom');
      const [, right] = (await layout()).regions;
      const number = (share) => String(share).split('/').map(Number).reduce((over, under) => over / under);
      assert.deepEqual([right.x, right.width, right.height].map(number), [0.75, 0.25, 0.5]);
      await until('the picture follows', async () => (await filled(0.25, 0.5)) && !(await filled(0.62, 0.5)));
      await drag('.region:nth-child(1)', frame.width / 4, 0);
      assert.equal(await page.$eval('.region:nth-child(1)', (element) => element.style.left), '25%');
      assert.ok((await filled(0.12, 0.5)) && !(await filled(0.62, 0.5)), 'a draft moves nothing');
      await press('.layout-pane .primary');
      await until('Ann moves with her region', async () => !(await filled(0.12, 0.5)) && (await filled(0.37, 0.5)) && (await filled(0.62, 0.5)));
      await shoot(page, `admin-moved-${name}`);
    });

    test('somebody is sent to another room, and is removed from it', async () => {
      const people = async (room) => (await api('GET', `/v1/rooms/${room}/participants`)).items.filter(({ kind }) => kind === 'participant');
      if (!(await page.$('.person-tools'))) await press('[data-key$=" more"]');
      await until('the tools', () => page.$('.person-tools form'));
      await page.type('.person-tools form input', 'second');
      await page.keyboard.press('Enter');
      await until('Ann is there', async () => (await people('second')).length === 1 && (await people('stage')).length === 0, 30_000);
      await page.goto(`${server.url}/admin#/rooms/second`);
      await until('she is listed', () => page.$('[data-key$=" remove"]'));
      await press('[data-key$=" remove"]');
      await until('nobody', async () => (await people('second')).length === 0);
    });

    test('the documentation has every operation, and finds one', async () => {
      await page.goto(`${server.url}/docs`);
      await page.waitForSelector('article.operation');
      const { paths } = await api('GET', '/openapi.json');
      const count = Object.values(paths).flatMap((item) => Object.keys(item)).filter((key) => ['get', 'put', 'post', 'patch', 'delete'].includes(key)).length;
      assert.equal(await page.$$eval('article.operation .code pre', (all) => all.filter((each) => each.textContent.startsWith('curl')).length), count);
      await page.type('#find', 'post tokens');
      const found = await page.$$eval('#contents li:not([hidden])', (all) => all.map((item) => item.textContent));
      assert.deepEqual(found, ['POST /v1/tokens']);
      await shoot(page, `docs-${name}`);
    });

    test('nothing is refused by the content policy', () => {
      const refused = page.complaints.filter((line) => /Content.Security.Policy|Refused to/i.test(line));
      assert.deepEqual(refused, []);
    });
  });
}
