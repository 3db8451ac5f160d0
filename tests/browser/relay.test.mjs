/** Clients whom UDP does not reach directly: through a TURN server, which the server names with credentials of its own, and by ICE-TCP. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, freePort, missing, mixdown, open, quit, serve, story, until } from './harness.mjs';

const works = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).error === undefined;
const SECRET = 'a secret that only this test knows of';

/** A port and a certificate that nobody has signed; null where none can be made. */
async function secured() {
  const folder = mkdtempSync(join(tmpdir(), 'mixdown-relay-'));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert];
  return spawnSync('openssl', args, { stdio: 'ignore' }).status === 0 ? { port: await freePort(), key, cert } : null;
}

/** coturn on loopback, with time-limited credentials. */
function turn(port, secure) {
  const tls = secure ? [`--tls-listening-port=${secure.port}`, `--cert=${secure.cert}`, `--pkey=${secure.key}`] : ['--no-tls'];
  const args = [
    '-n', '--log-file=stdout', '--no-cli', ...tls, '--no-dtls', '--allow-loopback-peers', '--realm=mixdown', '--use-auth-secret',
    `--static-auth-secret=${SECRET}`, '--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', `--listening-port=${port}`,
    '--pidfile=', '--userdb=:memory:',
  ];
  return spawn('turnserver', args, { stdio: 'ignore' });
}

/** Two bots see and hear each other, and whatever `check` wants to know of their paths. */
async function meet(browser, origin, room, options, check) {
  const pages = [];
  for (const id of [0, 1]) {
    const page = await open(browser, `${origin.url}/test/sender.html`);
    pages.push(page);
    await until('the page is ready', () => page.evaluate(() => Boolean(window.bot)));
    await page.evaluate((all) => bot.join(all), { id, room, ...options });
  }
  for (const [id, page] of pages.entries()) {
    const other = 1 - id;
    await until('the other is seen', async () => (await page.evaluate(() => bot.see())).some(({ name, code }) => name === `bot ${other}` && code?.id === other), 15_000);
    check(await page.evaluate(() => bot.path()));
  }
  for (const page of pages) await page.close();
}

story('behind walls', missing.mixdown || missing.chromium || (works('turnserver', '--version') ? false : 'turnserver is not here'), (test, { before, after }) => {
  let browser;
  let relay;
  let server;
  let origin;
  let port;
  let secure;

  before(async () => {
    port = await freePort();
    secure = await secured();
    relay = turn(port, secure);
    const file = join(mkdtempSync(join(tmpdir(), 'mixdown-relay-')), 'mixdown.toml');
    writeFileSync(file, `[[net.ice_servers]]\nurls = ["turn:127.0.0.1:${port}?transport=udp", "turn:127.0.0.1:${port}?transport=tcp"]\nsecret = "${SECRET}"\n`);
    server = await mixdown({ args: ['--config', file] });
    origin = await serve(server.url);
    // Nobody has signed the relay's certificate.
    browser = await chromium(['--ignore-certificate-errors']);
  });
  after(async () => {
    await quit(browser);
    origin?.close();
    await server?.stop();
    relay?.kill('SIGKILL');
  });

  test('two who may only use the relay see each other', async () => {
    await meet(browser, origin, 'relay', { relay: true }, (path) => assert.equal(path.local, 'relay', JSON.stringify(path)));
  });

  for (const way of ['tcp', 'tls']) {
    test(`two who may only use the relay, and reach it over ${way.toUpperCase()} alone, see each other`, async (context) => {
      if (way === 'tls' && !secure) return context.skip('no openssl to make a certificate with');
      const file = join(mkdtempSync(join(tmpdir(), 'mixdown-relay-')), 'mixdown.toml');
      const url = way === 'tls' ? `turns:127.0.0.1:${secure.port}?transport=tcp` : `turn:127.0.0.1:${port}?transport=tcp`;
      writeFileSync(file, `[[net.ice_servers]]\nurls = ["${url}"]\nsecret = "${SECRET}"\n`);
      const apart = await mixdown({ args: ['--config', file] });
      const pages = await serve(apart.url);
      try {
        await meet(browser, pages, way, { relay: true }, (path) => assert.deepEqual([path.local, path.relay], ['relay', way], JSON.stringify(path)));
      } finally {
        pages.close();
        await apart.stop();
      }
    });
  }

  test('credentials of the relay end: the user name carries the time', async () => {
    const answer = await fetch(`${server.url}/v1/rooms/relay/participants`, { method: 'OPTIONS' });
    const [, user] = /username="(\d+)[:"]/.exec(answer.headers.get('link')) ?? [];
    const left = Number(user) - Date.now() / 1000;
    assert.ok(left > 60 && left < 2 * 86_400, `${left} s`);
  });

  test('two whose UDP is dropped see each other over TCP', async (context) => {
    const drop = ['add table ip walls', 'add chain ip walls out { type filter hook output priority 0; }', 'add rule ip walls out meta l4proto udp drop'];
    if (!process.env.MIXDOWN_TEST_NAMESPACE) return context.skip('no network namespace of its own to drop UDP in');
    for (const rule of drop) {
      if (spawnSync('nft', [rule], { stdio: 'ignore' }).status !== 0) return context.skip('nft cannot drop UDP here');
    }
    try {
      await meet(browser, origin, 'tcp', {}, (path) => assert.equal(path.protocol, 'tcp', JSON.stringify(path)));
    } finally {
      spawnSync('nft', ['delete table ip walls']);
    }
  });
});
