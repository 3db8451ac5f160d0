import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { finalWord, granted, Hearing, Mutes } = await load('moderation.js');

test('a mute that one has not told oneself is that of others', () => {
  const mutes = new Mutes();
  assert.equal(mutes.byOthers({ muted_audio: true, muted_video: false }, 5000), null, 'before one has said anything');
  mutes.tell({ audio: false, video: true }, 1000);
  assert.equal(mutes.byOthers({ muted_audio: true, muted_video: true }, 1500), null, 'an older roster may still be on its way');
  assert.deepEqual(mutes.byOthers({ muted_audio: true, muted_video: true }, 2500), { audio: true, video: false });
  assert.deepEqual([mutes.settlesIn(1500), mutes.settlesIn(2500)], [500, 0], 'when to look again');
  const held = { muted_audio: true, muted_video: true, operator_muted_audio: true, operator_muted_video: false };
  assert.deepEqual(mutes.byOthers(held, 1001), { audio: true, video: false }, "a moderator's sign is no echo");
  mutes.tell({ audio: true, video: true }, 2600);
  assert.equal(mutes.byOthers({ muted_audio: true, muted_video: true }, 9000), null);
});

test('a message is told once', () => {
  const hearing = new Hearing();
  const message = { participant: 'pt_1', text: 'hi', at: '2026-01-01T12:00:00Z' };
  assert.ok(hearing.take(message));
  assert.ok(hearing.take({ ...message, text: 'hello' }));
  assert.ok(!hearing.take(message), 'told again after a reconnect');
  for (let n = 0; n < 600; n += 1) hearing.take({ ...message, text: String(n) });
  assert.ok(hearing.take(message), 'memory is bounded');
});

test('only an end that was meant is final', () => {
  assert.match(finalWord({ state: 'disconnected', reason_code: 'removed' }), /removed/);
  for (const described of [null, {}, { state: 'connected' }, { state: 'disconnected', reason_code: 'consent_lost' }, { state: 'disconnected', reason_code: 'toString' }]) {
    assert.equal(finalWord(described), null);
  }
});

test('grants are read from a token, and a token that cannot be read grants nothing', () => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  assert.deepEqual(granted(`${part({})}.${part({ sub: 'Ünal', mixdown: { admin: true } })}.x`), { admin: true });
  for (const token of ['', 'x', 'a.b.c', `x.${part({})}.y`]) assert.deepEqual(granted(token), {});
});
