import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { Devices } = await load('devices.js');
const { bindKeys } = await load('keys.js');

/** A machine that has these kinds of devices; asking for another one fails as browsers do. */
function machine(...kinds) {
  const asked = [];
  const getUserMedia = async (wanted) => {
    asked.push(wanted);
    const all = ['audio', 'video'].filter((kind) => wanted[kind]);
    if (all.some((kind) => !kinds.includes(kind))) throw new DOMException('', 'NotFoundError');
    return { getTracks: () => all.map((kind) => ({ kind, stop() {}, addEventListener() {} })) };
  };
  const mediaDevices = { getUserMedia, enumerateDevices: async () => [], addEventListener() {} };
  Object.defineProperty(globalThis, 'navigator', { value: { mediaDevices }, configurable: true });
  return asked;
}

test('both are asked for at once', async () => {
  const asked = machine('audio', 'video');
  const devices = new Devices();
  await devices.open({ camera: true, microphone: true });
  assert.ok(devices.camera && devices.microphone);
  assert.deepEqual([asked.length, devices.problem], [1, '']);
});

test('where one is missing the other is used, and the problem is named for what it is', async () => {
  for (const [kind, works, word] of [['audio', 'microphone', /camera cannot/], ['video', 'camera', /microphone cannot/]]) {
    machine(kind);
    const devices = new Devices();
    await devices.open({ camera: true, microphone: true });
    assert.ok(devices[works], kind);
    assert.match(devices.problem, word);
  }
});

test('where there is neither one can still watch and listen', async () => {
  machine();
  const devices = new Devices();
  await devices.open({ camera: true, microphone: true });
  assert.deepEqual([devices.camera, devices.microphone], [null, null]);
  assert.match(devices.problem, /watch and listen/);
});

test('the space bar opens a closed microphone while it is held, and leaves an open one alone', () => {
  const window = new EventTarget();
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.document = { getElementById: () => ({ open: false, addEventListener() {} }) };
  let open = false;
  bindKeys({}, (held) => {
    const other = open !== held;
    open = held;
    return other;
  }, () => true);
  const press = (type, more) => window.dispatchEvent(Object.assign(new Event(type), { key: ' ', ...more }));
  try {
    for (const [before, end] of [[false, 'keyup'], [false, 'blur'], [true, 'keyup'], [true, 'blur']]) {
      open = before;
      press('keydown');
      press('keydown', { repeat: true });
      assert.equal(open, true);
      press(end);
      assert.equal(open, before, `${before ? 'open' : 'closed'}, then ${end}`);
    }
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.document;
  }
});
