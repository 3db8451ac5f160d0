/**
 * Runs all tests of this folder, in a network namespace of their own where that is possible: browsers otherwise gather
 * the machine's other addresses too. Closes with `N passed, N failed, N skipped`.
 *
 *     node run.mjs [part of a file name…]
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const works = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

/** Namespaces for the network and for processes: whatever is left of a run that was cut off ends with it. */
function isolated() {
  const spaces = ['-n', '-p', '-f', '--mount-proc', '--kill-child'];
  if (process.env.MIXDOWN_TEST_NAMESPACE || process.getuid?.() !== 0 || !works('unshare', ...spaces, 'true')) return null;
  const inside = 'ip link set lo up && ip route add default dev lo src 127.0.0.1 && exec "$@"';
  const args = [...spaces, 'sh', '-c', inside, 'sh', process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  return spawnSync('unshare', args, { stdio: 'inherit', env: { ...process.env, MIXDOWN_TEST_NAMESPACE: '1' } });
}

/** Firefox starts no AudioContext without a sound device. */
function sound() {
  if (!works('pulseaudio', '--version')) return null;
  const folder = mkdtempSync(join(tmpdir(), 'mixdown-pulse-'));
  const socket = join(folder, 'native');
  process.env.PULSE_SERVER = `unix:${socket}`;
  process.env.XDG_RUNTIME_DIR ??= folder;
  return spawn(
    'pulseaudio',
    ['-n', '--daemonize=no', '--exit-idle-time=-1', '--disable-shm', '-L', 'module-null-sink sink_name=null', '-L', `module-native-protocol-unix auth-anonymous=1 socket=${socket}`],
    { stdio: 'ignore', env: { ...process.env, HOME: folder } },
  );
}

const done = isolated();
if (done) process.exit(done.status ?? 1);

const server = sound();
const wanted = process.argv.slice(2);
const files = readdirSync(here)
  .filter((name) => name.endsWith('.test.mjs') && (wanted.length === 0 || wanted.some((part) => name.includes(part))))
  .sort()
  .map((name) => join(here, name));
const count = { passed: 0, failed: 0, skipped: 0 };
const began = Date.now();
const tests = run({ files, concurrency: 1, timeout: 240_000 });
const leaf = ({ name, details }) => !name.endsWith('.mjs') && details?.type !== 'suite';
tests.on('test:pass', (event) => leaf(event) && (count[event.skip === undefined ? 'passed' : 'skipped'] += 1));
tests.on('test:fail', ({ details }) => {
  if (details?.error?.failureType !== 'subtestsFailed') count.failed += 1;
});
tests.compose(new spec()).pipe(process.stdout);
tests.on('end', () => {
  server?.kill();
  setTimeout(() => {
    const seconds = Math.round((Date.now() - began) / 1000);
    console.log(`browser tests: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped (${seconds} s)`);
    process.exit(count.failed > 0 || files.length === 0 ? 1 : 0);
  }, 100);
});
