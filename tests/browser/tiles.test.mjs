import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { TileClock, ownTile, reached } = await load('tiles.js');

function clock() {
  const applied = [];
  const tiles = new TileClock((map) => applied.push(map.name));
  return { applied, tiles };
}

test('a map waits for its picture', () => {
  const { applied, tiles } = clock();
  tiles.push({ name: 'a', rtp_timestamp: 9000 }, 0);
  tiles.advance(6000, 10);
  assert.deepEqual(applied, []);
  tiles.advance(9000, 43);
  assert.deepEqual(applied, ['a']);
});

test('when pictures are skipped, the last map that is due counts', () => {
  const { applied, tiles } = clock();
  for (const [name, rtp_timestamp] of [['a', 3000], ['b', 6000], ['c', 90000]]) tiles.push({ name, rtp_timestamp }, 0);
  tiles.advance(12000, 100);
  assert.deepEqual(applied, ['b']);
});

test('timestamps may wrap', () => {
  assert.ok(reached(100, 2 ** 32 - 100));
  assert.ok(!reached(2 ** 32 - 100, 100));
  const { applied, tiles } = clock();
  tiles.push({ name: 'a', rtp_timestamp: 50 }, 0);
  tiles.advance(2 ** 32 - 3000, 0);
  assert.deepEqual(applied, []);
  tiles.advance(50, 33);
  assert.deepEqual(applied, ['a']);
});

test('without a picture the map is applied after a second', () => {
  const { applied, tiles } = clock();
  tiles.push({ name: 'a', rtp_timestamp: 9000 }, 0);
  tiles.advance(null, 999);
  assert.deepEqual(applied, []);
  tiles.advance(null, 1000);
  assert.deepEqual(applied, ['a']);
});

test('the own camera is drawn over the own tile, but not over what stands on it', () => {
  const tile = (participant, x, y, width, height, source = 'camera') => ({ participant, source, x, y, width, height });
  const [left, right] = [tile('me', 0, 0, 0.5, 1), tile('ann', 0.5, 0, 0.5, 1)];
  assert.equal(ownTile([left, right], 'me'), left);
  assert.equal(ownTile([right, left], 'me'), left);
  const [whole, small] = [tile('me', 0, 0, 1, 1), tile('ann', 0.7, 0.7, 0.25, 0.25)];
  assert.equal(ownTile([whole, small], 'me'), null, 'somebody is in the corner');
  assert.equal(ownTile([tile('ann', 0, 0, 1, 1), { ...small, participant: 'me' }], 'me').x, 0.7, 'the own one is in the corner');
  assert.equal(ownTile([tile('me', 0, 0, 1, 1, 'screen')], 'me'), null, 'a screen is not mirrored');
  assert.equal(ownTile([right], 'me'), null);
  assert.equal(ownTile([right], null), null);
});
