import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { Line } = await load('line.js');
const { MixdownError, Session } = await load('session.js');

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

test('who asks for a try now does not wait for the next one', async () => {
  const first = new FakeSession(async () => { throw new MixdownError('gone', 404); });
  let made = 0;
  const make = async () => {
    if (made++ === 0) return first;
    throw new MixdownError('no network', 0);
  };
  await story(make, async ({ line, pass }) => {
    await line.open();
    first.go('connected');
    first.go('failed');
    await pass(60_000);
    const before = made;
    line.retry();
    await pass(100);
    assert.equal(made, before + 1);
    await pass(2000);
    assert.equal(made, before + 1, 'and the next wait is a whole one');
  });
});

test('all waits end together', async () => {
  const session = new FakeSession(async () => { throw new MixdownError('no network', 0); });
  await story(async () => session, async ({ line, pass }) => {
    await line.open(); // Waits for the path of the first session all the while.
    line.lost();
    await pass(4500);
    const before = session.restarts;
    line.retry();
    await pass(50);
    assert.equal(session.restarts, before + 1);
  });
});

/** A peer connection that takes everything, and requests that the test answers. */
async function control(answer, tell) {
  const real = { fetch: globalThis.fetch, timeout: AbortSignal.timeout, set: globalThis.setTimeout };
  const requests = [];
  const timers = [];
  globalThis.RTCPeerConnection = class extends EventTarget {
    signalingState = 'stable';
    connectionState = 'connected';
    async setLocalDescription({ type } = { type: 'offer' }) {
      this.signalingState = type === 'rollback' ? 'stable' : 'have-local-offer';
      this.localDescription = { sdp: 'v=0\r\n' };
    }
    async setRemoteDescription() { this.signalingState = 'stable'; }
    close() {}
  };
  globalThis.fetch = (url, init) => {
    requests.push(`${init.method} ${init.headers['If-Match'] ?? ''}`.trim());
    return init.method === 'POST' ? Promise.resolve(new Response('v=0', { status: 201, headers: { Location: '/s/1', ETag: '"1"' } })) : answer(init);
  };
  AbortSignal.timeout = (ms) => Object.assign(new AbortController().signal, { ms });
  globalThis.setTimeout = (run, ms) => timers.push({ run, ms });
  const session = new Session({ endpoint: new URL('http://server/s') });
  try {
    await session.open();
    await tell(session, requests, timers);
  } finally {
    session.close();
    Object.assign(globalThis, { fetch: real.fetch, setTimeout: real.set });
    AbortSignal.timeout = real.timeout;
    delete globalThis.RTCPeerConnection;
  }
}

test('what the server could not be told is told later, whatever it has made of the first try', async () => {
  let down = true;
  const answer = async () => {
    if (down) throw new TypeError('no network');
    return new Response('v=0', { status: 200, headers: { ETag: '"2"' } });
  };
  await control(answer, async (session, requests, timers) => {
    await session.propose();
    assert.deepEqual(requests, ['POST'], 'nothing is new');
    await assert.rejects(session.propose(true), { status: 0 });
    assert.equal(session.pc.signalingState, 'stable', 'the offer is taken back');
    const { run, ms } = timers.at(-1);
    assert.equal(ms, 3000);
    session.pc.connectionState = 'disconnected';
    run();
    assert.equal(requests.length, 2, 'a restart must not wait behind it');
    session.pc.connectionState = 'connected';
    down = false;
    await session.propose();
    await session.propose();
    assert.deepEqual(requests, ['POST', 'PATCH "1"', 'PATCH'], 'once, and with no ETag that may have passed');
  });
});

test('what the server refuses for good is not offered again by itself', async () => {
  await control(async () => new Response('{}', { status: 403 }), async (session, requests, timers) => {
    const before = timers.length;
    await assert.rejects(session.propose(true), { status: 403 });
    assert.equal(timers.length, before);
  });
});

test('no request waits for ever, nor does the body of its answer', async () => {
  const limits = [];
  const cut = new ReadableStream({ start: (controller) => controller.error(new DOMException('signal timed out', 'TimeoutError')) });
  await control(async ({ signal }) => limits.push(signal.ms) && new Response(cut), async (session) => {
    await assert.rejects(session.resource('GET'), (error) => error instanceof MixdownError && error.status === 0 && error.temporary);
    assert.deepEqual(limits, [10_000]);
  });
});
