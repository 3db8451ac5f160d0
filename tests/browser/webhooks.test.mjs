import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, missing, mixdown, open, quit, shoot, story, until } from './harness.mjs';

const KEY = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** A receiver: keeps what comes and answers with `status`. */
async function receiver() {
  const hook = { status: 204, requests: [], url: '', close: () => server.close() };
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    hook.requests.push({ headers: request.headers, body, event: JSON.parse(body) });
    response.writeHead(hook.status).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  hook.url = `http://127.0.0.1:${server.address().port}/hook`;
  return hook;
}

story('webhooks, to a receiver of another make,', missing.mixdown, (test, { before, after }) => {
  let folder;
  let hook;
  let server;
  let args;
  const api = (method, path, body) => fetch(server.url + path, { method, body: body && JSON.stringify(body), headers: body ? { 'Content-Type': 'application/json' } : {} });
  const say = (text) => api('POST', '/v1/rooms/hooked/messages', { text });
  const heard = () => hook.requests.filter(({ event }) => event.type === 'chat.message').map(({ event }) => event.data.text);

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mixdown-hooks-'));
    hook = await receiver();
    const config = `[webhooks]\noutbox = "${join(folder, 'outbox')}"\n[[webhooks.endpoints]]\nid = "test"\nurl = "${hook.url}"\nsecrets = ["whsec_${KEY}"]\nallow_private_networks = true\n`;
    writeFileSync(join(folder, 'mixdown.toml'), config);
    args = ['--config', join(folder, 'mixdown.toml')];
    server = await mixdown({ args });
    await api('PUT', '/v1/rooms/hooked', {});
  });
  after(async () => {
    await server?.stop();
    hook?.close();
    rmSync(folder, { recursive: true });
  });

  test('an event comes with a signature that another library makes too', async () => {
    await say('grüß Gott');
    await until('the event', () => heard().length > 0);
    const { headers, body, event } = hook.requests.find(({ event: { type } }) => type === 'chat.message');
    const [id, timestamp] = [headers['webhook-id'], headers['webhook-timestamp']];
    const wanted = createHmac('sha256', Buffer.from(KEY, 'base64')).update(`${id}.${timestamp}.${body}`).digest('base64');
    assert.equal(headers['webhook-signature'], `v1,${wanted}`);
    assert.deepEqual([event.room, event.data.text], ['hooked', 'grüß Gott']);
    assert.ok(Math.abs(Date.now() / 1000 - Number(timestamp)) < 60);
  });

  test('what waits survives the server\'s death, and comes in order once it is back', async () => {
    hook.status = 500;
    for (const text of ['one', 'two', 'three']) await say(text);
    await until('an attempt', () => heard().includes('one'));
    await until('all of them wait', async () => (await (await api('GET', '/v1/webhooks')).json()).items[0].pending === 3);
    await server.stop('SIGKILL');
    hook.status = 204;
    hook.requests.length = 0;
    server = await mixdown({ port: server.port, args });
    await until('all three', () => heard().length >= 3);
    assert.deepEqual(heard(), ['one', 'two', 'three']);
  });

  test('the console shows what became of it, and tries the endpoint', async (context) => {
    if (missing.chromium) return context.skip(missing.chromium);
    const browser = await chromium();
    try {
      const page = await open(browser, `${server.url}/admin#/webhooks`);
      await page.setViewport({ width: 1400, height: 800 });
      const text = (selector) => page.$eval(selector, (element) => element.textContent);
      await until('the deliveries', async () => (await text('#main')).includes('chat.message'));
      assert.match(await text('#main'), /HTTP 204/);
      await page.$eval('[data-key="test test"]', (button) => button.click());
      await until('the test', async () => /test took the test/.test(await text('#live')));
      assert.equal(hook.requests.at(-1).event.type, 'webhook.test');
      const again = heard().length;
      await page.$eval('tbody [data-key^=msg_]', (button) => button.click());
      await until('sent again', () => heard().length > again);
      await shoot(page, 'admin-webhooks');
    } finally {
      await quit(browser);
    }
  });
});
