/**
 * Runs all tests of this folder, in a network namespace of their own where that is possible: browsers otherwise gather
 * the machine's other addresses too. Closes with `N passed, N failed, N skipped`. What is about moving pictures, links and moments has the
 * machine for itself; what mostly waits for pages runs two files at a time.
 *
 *     node run.mjs [part of a file name…]
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
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
const ALONE = ['client', 'codecs', 'directed', 'hints', 'pages', 'relay', 'room', 'thin', 'upstream'];
const began = Date.now();

/** Runs one file. @param {string} file @returns {Promise<{passed: number, failed: number, skipped: number}>} */
function round(file) {
  console.log(`# ${basename(file)}`);
  const count = { passed: 0, failed: 0, skipped: 0 };
  const leaf = ({ name, details }) => !name.endsWith('.mjs') && details?.type !== 'suite';
  const tests = run({ files: [file], concurrency: 1, timeout: 240_000 });
  tests.on('test:pass', (event) => { if (leaf(event)) count[event.skip === undefined ? 'passed' : 'skipped'] += 1; });
  tests.on('test:fail', ({ details }) => { if (details?.error?.failureType !== 'subtestsFailed') count.failed += 1; });
  const told = tests.compose(new spec()).toArray();
  return told.then((lines) => {
    process.stdout.write(lines.join(''));
    return count;
  });
}

/** Runs files one after the other, until there are none left. @param {string[]} queue */
async function lane(queue) {
  for (let file = queue.shift(); file; file = queue.shift()) counts.set(file, await round(file));
}

/**
 * Two browsers and a server in real time on whatever machine this is: what fails once is tried once more, by itself, and
 * named either way. What fails twice has failed.
 */
const counts = new Map();
const alone = files.filter((file) => ALONE.includes(basename(file, '.test.mjs')));
// What takes longest first: the two then end at about the same time.
const together = files.filter((file) => !alone.includes(file)).sort((a, b) => b.includes('recordings') - a.includes('recordings'));
await Promise.all([lane(together), lane(together)]);
await lane(alone);
const unsteady = [...counts].filter(([, { failed }]) => failed > 0).map(([file]) => file);
if (unsteady.length > 0) {
  const names = unsteady.map((file) => basename(file)).join(', ');
  console.log(`once more: ${names}`);
  for (const file of unsteady) counts.set(file, await round(file));
  console.log(`failed once: ${names}`);
}
server?.kill();
const total = (what) => [...counts.values()].reduce((sum, count) => sum + count[what], 0);
const seconds = Math.round((Date.now() - began) / 1000);
console.log(`browser tests: ${total('passed')} passed, ${total('failed')} failed, ${total('skipped')} skipped (${seconds} s)`);
process.exit(total('failed') > 0 || files.length === 0 ? 1 : 0);
