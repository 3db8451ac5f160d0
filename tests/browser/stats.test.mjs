import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { StatsReader } = await load('stats.js');
const { quality } = await load('panel.js');

/** A report at a time in seconds: 100 packets, 25 frames and 125 kB a second, `lost` of them lost. */
function report(at, lost = 0) {
  const common = { timestamp: at * 1000 };
  return new Map([
    ['in', { ...common, id: 'in', type: 'inbound-rtp', kind: 'video', codecId: 'c', packetsReceived: 100 * at, packetsLost: lost, bytesReceived: 125_000 * at, framesDecoded: 25 * at, frameWidth: 1280, frameHeight: 720, jitter: 0.004, jitterBufferDelay: at, jitterBufferEmittedCount: 25 * at, freezeCount: 1, totalFreezesDuration: 0.4 }],
    ['q', { ...common, id: 'q', type: 'outbound-rtp', kind: 'video', mid: '1', codecId: 'c', bytesSent: 10_000 * at, frameWidth: 320, frameHeight: 180 }],
    ['f', { ...common, id: 'f', type: 'outbound-rtp', kind: 'video', mid: '1', codecId: 'c', bytesSent: 90_000 * at, frameWidth: 1280, frameHeight: 720, framesPerSecond: 25 }],
    ['c', { ...common, id: 'c', type: 'codec', mimeType: 'video/VP8' }],
    ['t', { ...common, id: 't', type: 'transport', selectedCandidatePairId: 'p' }],
    ['p', { ...common, id: 'p', type: 'candidate-pair', localCandidateId: 'l', remoteCandidateId: 'r', currentRoundTripTime: 0.02 }],
    ['l', { ...common, id: 'l', type: 'local-candidate', protocol: 'udp', candidateType: 'prflx' }],
    ['r', { ...common, id: 'r', type: 'remote-candidate', protocol: 'udp', candidateType: 'host' }],
  ]);
}

const camera = (mid) => (mid === '1' ? 'camera' : null);

test('rates and loss are those since the last reading', () => {
  const reader = new StatsReader();
  reader.read(report(1), camera);
  const { video } = reader.read(report(3, 50), camera);
  assert.equal(video.bitrate_bps, 1_000_000);
  assert.equal(video.fps, 25);
  assert.equal(video.loss, 50 / 250);
  assert.equal(video.buffer_ms, 40);
  assert.deepEqual([video.codec, video.width, video.freezes, video.frozen_ms], ['VP8', 1280, 1, 400]);
});

test('the layers of a simulcast camera count as one', () => {
  const reader = new StatsReader();
  reader.read(report(1), camera);
  const stats = reader.read(report(2), camera);
  assert.deepEqual([stats.camera.width, stats.camera.bitrate_bps, stats.camera.fps], [1280, 800_000, 25]);
  assert.equal(stats.microphone, null);
  assert.deepEqual([stats.rtt_ms, stats.transport], [20, 'udp prflx → host']);
});

test('the worst figure makes the quality', () => {
  const good = { video: { loss: 0, fps: 30 }, audio: { loss: 0 }, rtt_ms: 20 };
  assert.equal(quality(good).text, 'Good');
  assert.equal(quality({ ...good, audio: { loss: 0.05 } }).text, 'Fair');
  assert.equal(quality({ ...good, rtt_ms: 900 }).text, 'Poor');
  assert.equal(quality({ video: null, audio: null, rtt_ms: 20 }).level, 0);
});

test('a picture that rests is no bad connection, and one that the server had to slow down is', () => {
  const resting = { video: { loss: 0, fps: 1 }, audio: { loss: 0 }, rtt_ms: 20 };
  assert.equal(quality(resting).text, 'Good');
  assert.equal(quality(resting, { fps: 30 }).text, 'Good');
  assert.equal(quality(resting, {}).text, 'Good', 'one that is forwarded has no rate of its own');
  assert.equal(quality(resting, { fps: 10 }).text, 'Fair');
  assert.equal(quality(resting, { fps: 0 }).text, 'Poor');
});
