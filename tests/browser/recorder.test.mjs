import assert from 'node:assert/strict';
import { chromium, missing, mixdown, open, quit, shoot, story, until } from './harness.mjs';

const KEY = 'browser:a-secret-of-the-browser-tests-0123456789';

story('the button that records a room', missing.mixdown || missing.chromium, (test, { before, after }) => {
  let server;
  let browser;
  const pages = {};
  const api = async (method, path, body) => {
    const headers = { Authorization: `Basic ${btoa(KEY)}`, ...(body && { 'Content-Type': 'application/json' }) };
    const response = await fetch(server.url + path, { method, headers, body: body && JSON.stringify(body) });
    return response.json();
  };
  const enter = async (name, grants) => {
    const { token } = await api('POST', '/v1/tokens', { identity: name, room: 'standup', join: true, subscribe: true, publish: ['audio', 'video', 'data'], ...grants });
    const page = await open(browser, `${server.url}/r/standup#token=${token}`);
    await page.evaluate(() => { window.confirm = () => true; });
    await page.waitForSelector('#join');
    await page.$eval('#name', (input, typed) => { input.value = typed; }, name);
    await page.$eval('#join', (button) => button.click());
    await until(`${name} is in`, () => page.$eval('#waiting', (waiting) => waiting.hidden && document.body.className === 'in-room'));
    pages[name] = page;
  };
  const hidden = (name, selector) => pages[name].$eval(selector, (element) => element.hidden);
  const press = (name, selector) => pages[name].$eval(selector, (element) => element.click());
  const label = (name) => pages[name].$eval('#record', (button) => `${button.textContent.trim()} ${button.getAttribute('aria-pressed')}`);
  const recordings = async () => (await api('GET', '/v1/recordings')).items;
  const person = async (name) => (await api('GET', '/v1/rooms/standup/participants')).items.find((one) => one.name === name);

  before(async () => {
    server = await mixdown({ key: KEY });
    browser = await chromium();
    await enter('Ann', { record: true });
    await enter('Bob', {});
  });
  after(async () => {
    await quit(browser);
    await server?.stop();
  });

  test('it is shown to those alone who may record', async () => {
    assert.deepEqual([await hidden('Ann', '#record'), await hidden('Bob', '#record')], [false, true]);
    await pages.Bob.keyboard.press('r');
    assert.deepEqual([await label('Ann'), await recordings()], ['Record false', []]);
  });

  test('it begins a recording, of which everybody is told', async () => {
    await press('Ann', '#record');
    await until('it is pressed', async () => (await label('Ann')) === 'Stop recording true');
    for (const name of ['Ann', 'Bob']) await until(`${name} sees the sign`, async () => !(await hidden(name, '#recording')));
    await until('it runs', async () => (await recordings())[0]?.state === 'active');
    await shoot(pages.Ann, 'room-recording');
  });

  test('what one allows of oneself is told to the server, and again by a session that is begun anew', async () => {
    await pages.Bob.select('#consent', 'avatar');
    await until('the server knows', async () => (await person('Bob'))?.recording === 'avatar');
    assert.equal((await person('Ann')).recording, 'allow');
    await pages.Bob.reload();
    await pages.Bob.waitForSelector('#join');
    await pages.Bob.$eval('#join', (button) => button.click());
    await until('it still knows', async () => (await person('Bob'))?.recording === 'avatar' && (await person('Bob')).state === 'connected');
    assert.equal(await pages.Bob.$eval('#consent', (select) => select.value), 'avatar');
    await until('Bob sees the sign again', async () => !(await hidden('Bob', '#recording')));
  });

  test('it ends the recording', async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await pages.Ann.keyboard.press('r');
    await until('it is complete', async () => (await recordings())[0]?.state === 'complete');
    await until('it is not pressed', async () => (await label('Ann')) === 'Record false');
    for (const name of ['Ann', 'Bob']) await until(`${name} sees no sign`, () => hidden(name, '#recording'));
    assert.deepEqual(pages.Ann.complaints, []);
  });
});
