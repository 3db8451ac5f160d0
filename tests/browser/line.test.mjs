import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { Line } = await load('line.js');
const { MixdownError } = await load('session.js');

/** A session whose path the test moves by hand. */
class FakeSession {
  closed = false;
  restarts = 0;
  pc = Object.assign(new EventTarget(), { connectionState: 'new' });

  constructor(onRestart = async () => {}) {
    this.onRestart = onRestart;
  }

  go(state) {
    this.pc.connectionState = state;
    this.pc.dispatchEvent(new Event('connectionstatechange'));
  }

  async restart() {
    this.restarts += 1;
    await this.onRestart(this);
  }

  close() {
    this.closed = true;
  }
}

/** Time that moves by hand: stands in for setTimeout and performance.now(). */
class VirtualTime {
  now = 0;
  #timers = new Map();
  #next = 1;
  #real = { set: globalThis.setTimeout, clear: globalThis.clearTimeout, now: performance.now };

  constructor() {
    globalThis.setTimeout = (run, ms = 0) => {
      this.#timers.set(this.#next, { run, at: this.now + ms });
      return this.#next++;
    };
    globalThis.clearTimeout = (id) => this.#timers.delete(id);
    performance.now = () => this.now;
  }

  async pass(ms) {
    const end = this.now + ms;
    for (; this.now <= end; this.now += 50) {
      for (const [id, { run, at }] of [...this.#timers]) if (at <= this.now && this.#timers.delete(id)) run();
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    }
    this.now = end;
  }

  restore() {
    globalThis.setTimeout = this.#real.set;
    globalThis.clearTimeout = this.#real.clear;
    performance.now = this.#real.now;
  }
}

async function story(make, tell, verdict) {
  const time = new VirtualTime();
  const states = [];
  const line = new Line({ make: () => make(time), notify: (state) => states.push(state), verdict });
  try {
    await tell({ line, states, pass: (ms) => time.pass(ms) });
  } finally {
    line.close();
    time.restore();
  }
}

test('a path that is lost and comes back by itself is left alone', async () => {
  const session = new FakeSession();
  await story(async () => session, async ({ line, states, pass }) => {
    await line.open();
    session.go('connected');
    session.go('disconnected');
    await pass(1000);
    session.go('connected');
    await pass(5000);
    assert.equal(session.restarts, 0);
    assert.deepEqual(states, ['connected']);
  });
});

test('a path that stays away is restarted within two seconds', async () => {
  const session = new FakeSession(async (it) => it.go('connected'));
  await story(async () => session, async ({ line, states, pass }) => {
    await line.open();
    session.go('connected');
    session.go('disconnected');
    await pass(2000);
    assert.equal(session.restarts, 1);
    assert.deepEqual(states, ['connected', 'reconnecting', 'connected']);
  });
});

test('when the server has forgotten the session, a new one is made at once', async () => {
  const sessions = [new FakeSession(async () => { throw new MixdownError('gone', 404); }), new FakeSession()];
  let made = 0;
  await story(async () => sessions[made++], async ({ line, states, pass }) => {
    await line.open();
    sessions[0].go('connected');
    sessions[0].go('failed');
    await pass(200);
    assert.ok(sessions[0].closed);
    assert.equal(line.session, sessions[1]);
    sessions[1].go('connected');
    await pass(300);
    assert.deepEqual(states, ['connected', 'reconnecting', 'connected']);
  });
});

test('an unreachable server is tried again and again, less and less often', async () => {
  const first = new FakeSession(async () => { throw new MixdownError('no network', 0); });
  const times = [];
  let made = 0;
  const make = async (time) => {
    if (made++ === 0) return first;
    times.push(time.now);
    throw new MixdownError('no network', 0);
  };
  await story(make, async ({ line, pass }) => {
    await line.open();
    first.go('connected');
    first.go('failed');
    await pass(120_000);
    const gaps = times.slice(1).map((at, index) => at - times[index]);
    assert.ok(first.restarts >= 3 && first.restarts < 20, `${first.restarts} restarts`);
    assert.ok(gaps.length >= 6 && gaps.at(-1) > 10_000, `gaps ${gaps}`);
    assert.equal(line.state, 'reconnecting');
  });
});

test('a refusal for good ends the line, with its reason', async () => {
  const first = new FakeSession(async () => { throw new MixdownError('gone', 404); });
  let made = 0;
  const make = async () => {
    if (made++ === 0) return first;
    throw new MixdownError('the room is locked', 403);
  };
  await story(make, async ({ line, states, pass }) => {
    await line.open();
    first.go('connected');
    first.go('failed');
    await pass(500);
    assert.deepEqual(states, ['connected', 'reconnecting', 'closed']);
    assert.equal(made, 2);
  });
});

test('a session that never connects is replaced after its deadline', async () => {
  const sessions = [new FakeSession(), new FakeSession()];
  let made = 0;
  await story(async () => sessions[made++], async ({ line, pass }) => {
    await line.open();
    await pass(13_000);
    assert.equal(made, 1);
    await pass(2000);
    assert.equal(made, 2);
    assert.ok(sessions[0].closed);
  });
});

test('a closed line makes nothing any more', async () => {
  const session = new FakeSession();
  let made = 0;
  await story(async () => { made += 1; return session; }, async ({ line, pass }) => {
    await line.open();
    line.close();
    session.go('failed');
    await pass(60_000);
    assert.equal(made, 1);
    assert.ok(session.closed);
  });
});

test('who is turned away before the path is up is told within seconds', async () => {
  const session = new FakeSession();
  let word = null;
  await story(async () => session, async ({ line, states, pass }) => {
    await line.open();
    await pass(1000);
    word = new MixdownError('not let in', 410);
    await pass(2000);
    assert.deepEqual(states, ['closed']);
    assert.ok(session.closed);
  }, async () => word);
});
