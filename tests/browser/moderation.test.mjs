import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { finalWord, granted, Hearing, letGo, Mutes } = await load('moderation.js');

test('a mute that one has not told oneself is that of others', () => {
  const mutes = new Mutes();
  const muted = { muted_audio: true, muted_video: true };
  assert.equal(mutes.byOthers(muted, 5000), null, 'before one has said anything');
  mutes.tell({ audio: false, video: true });
  mutes.hear({ muted_audio: false, muted_video: false }, 1000);
  assert.equal(mutes.byOthers(muted, 1500), null, 'older rosters may come right behind');
  assert.deepEqual([mutes.settlesIn(1500), mutes.settlesIn(2500)], [500, 0], 'when to look again');
  assert.deepEqual(mutes.byOthers(muted, 2500), { audio: true, video: false });
  const held = { ...muted, operator_muted_audio: true, operator_muted_video: false };
  assert.deepEqual(mutes.byOthers(held, 1001), { audio: true, video: false }, "a moderator's sign is no older word");
  mutes.tell({ audio: true, video: true });
  assert.equal(mutes.byOthers(muted, 9000), null);
});

test('rosters that were held up by a break are not taken for a mute by others, however late they come', () => {
  const mutes = new Mutes();
  const roster = (audio) => ({ muted_audio: audio, muted_video: false });
  mutes.tell({ audio: true, video: false });
  mutes.hear(roster(true), 1000);
  mutes.tell({ audio: false, video: false });
  mutes.hear(roster(true), 9000);
  assert.equal(mutes.byOthers(roster(true), 9000), null, 'none has had the last word yet');
  assert.equal(mutes.settlesIn(9000), 0, 'and time alone does not tell');
  mutes.hear(roster(false), 9010);
  mutes.tell({ audio: false, video: false });
  mutes.hear(roster(true), 10_500);
  assert.deepEqual(mutes.byOthers(roster(true), 10_500), { audio: true, video: false }, 'the same word once more changes nothing');
});

test('what a moderator lets go of is told apart', () => {
  const held = { operator_muted_audio: true, operator_muted_video: true };
  assert.deepEqual(letGo(held, { ...held, operator_muted_video: false }), { audio: false, video: true });
  assert.deepEqual(letGo(held, { operator_muted_video: true }), { audio: true, video: false });
  for (const [before, now] of [[held, held], [undefined, held], [held, undefined], [{}, {}]]) assert.equal(letGo(before, now), null);
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
