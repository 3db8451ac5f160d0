/**
 * Reads an RTCStatsReport into a few figures that a person can use. Rates are taken against the previous reading.
 *
 * @module
 */

/**
 * One direction of one track.
 *
 * @typedef {object} TrackStats
 * @property {string | null} codec - such as `H264`
 * @property {number} bitrate_bps
 * @property {number | null} loss - share of packets lost since the last reading, 0–1
 * @property {number | null} jitter_ms
 * @property {number | null} [width]
 * @property {number | null} [height]
 * @property {number | null} [fps]
 * @property {number} [freezes] - count since the start
 * @property {number} [frozen_ms] - total time frozen
 * @property {number | null} [buffer_ms] - mean time in the jitter buffer since the last reading
 * @property {number} [concealed] - share of the sound that was made up since the last reading, 0–1
 */

/**
 * @typedef {object} Stats
 * @property {number} at - milliseconds
 * @property {TrackStats | null} video - the composite
 * @property {TrackStats | null} audio - the mix
 * @property {TrackStats | null} camera
 * @property {TrackStats | null} microphone
 * @property {TrackStats | null} screen
 * @property {number | null} rtt_ms
 * @property {string | null} transport - such as `udp host → host`
 * @property {number | null} available_bps - estimate of the way up
 */

const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const ms = (seconds) => (number(seconds) === null ? null : seconds * 1000);

export class StatsReader {
  /** @type {Map<string, object>} */
  #before = new Map();

  /**
   * @param {RTCStatsReport} report
   * @param {(mid: string | undefined, kind: string) => 'camera' | 'screen' | 'microphone' | 'screen-audio' | null} sourceOf - what a section sends
   * @returns {Stats}
   */
  read(report, sourceOf) {
    const all = [...report.values()];
    const inbound = (kind) => all.find((s) => s.type === 'inbound-rtp' && s.kind === kind && (s.packetsReceived ?? 0) > 0);
    const outbound = (source) => all.filter((s) => s.type === 'outbound-rtp' && s.active !== false && sourceOf(s.mid, s.kind) === source);
    const pair = this.#pair(all, report);
    const stats = {
      at: Math.max(0, ...all.map((s) => s.timestamp ?? 0)),
      video: this.#down(inbound('video'), report),
      audio: this.#down(inbound('audio'), report),
      camera: this.#up(outbound('camera'), report),
      microphone: this.#up(outbound('microphone'), report),
      screen: this.#up(outbound('screen'), report),
      rtt_ms: ms(pair?.currentRoundTripTime) ?? ms(all.find((s) => s.type === 'remote-inbound-rtp')?.roundTripTime),
      transport: this.#transport(pair, report),
      available_bps: number(pair?.availableOutgoingBitrate),
    };
    this.#before = new Map(all.map((s) => [s.id, s]));
    return stats;
  }

  #pair(all, report) {
    const selected = all.find((s) => s.type === 'transport' && s.selectedCandidatePairId)?.selectedCandidatePairId;
    return report.get(selected) ?? all.find((s) => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded') ?? null;
  }

  #transport(pair, report) {
    const local = report.get(pair?.localCandidateId);
    const remote = report.get(pair?.remoteCandidateId);
    if (!local || !remote) return null;
    return `${local.relayProtocol ?? local.protocol} ${local.candidateType} → ${remote.candidateType}`;
  }

  /** Growth of a counter since the last reading. */
  #delta(stat, key) {
    const before = this.#before.get(stat.id);
    return Math.max(0, (stat[key] ?? 0) - (before?.[key] ?? 0));
  }

  #rate(stat, key) {
    const before = this.#before.get(stat.id);
    const seconds = before ? (stat.timestamp - before.timestamp) / 1000 : 0;
    return seconds > 0 ? this.#delta(stat, key) / seconds : 0;
  }

  #mean(stat, total, count) {
    const events = this.#delta(stat, count);
    return events > 0 ? (this.#delta(stat, total) / events) * 1000 : null;
  }

  #codec(stat, report) {
    return report.get(stat.codecId)?.mimeType?.split('/')[1] ?? null;
  }

  #down(stat, report) {
    if (!stat) return null;
    const lost = this.#delta(stat, 'packetsLost');
    const got = this.#delta(stat, 'packetsReceived');
    const common = {
      codec: this.#codec(stat, report),
      bitrate_bps: this.#rate(stat, 'bytesReceived') * 8,
      loss: got + lost > 0 ? lost / (got + lost) : null,
      jitter_ms: ms(stat.jitter),
      buffer_ms: this.#mean(stat, 'jitterBufferDelay', 'jitterBufferEmittedCount'),
    };
    if (stat.kind === 'audio') {
      const samples = this.#delta(stat, 'totalSamplesReceived');
      return { ...common, concealed: samples > 0 ? this.#delta(stat, 'concealedSamples') / samples : 0 };
    }
    return {
      ...common,
      width: number(stat.frameWidth),
      height: number(stat.frameHeight),
      fps: number(stat.framesPerSecond) ?? Math.round(this.#rate(stat, 'framesDecoded')),
      freezes: stat.freezeCount ?? 0,
      frozen_ms: (stat.totalFreezesDuration ?? 0) * 1000,
    };
  }

  /** All layers of a simulcast sender as one. */
  #up(layers, report) {
    if (layers.length === 0) return null;
    const largest = layers.reduce((a, b) => ((b.frameHeight ?? 0) > (a.frameHeight ?? 0) ? b : a));
    const remote = report.get(largest.remoteId);
    return {
      codec: this.#codec(largest, report),
      bitrate_bps: layers.reduce((sum, layer) => sum + this.#rate(layer, 'bytesSent') * 8, 0),
      loss: number(remote?.fractionLost),
      jitter_ms: ms(remote?.jitter),
      width: number(largest.frameWidth),
      height: number(largest.frameHeight),
      fps: number(largest.framesPerSecond) ?? (largest.kind === 'video' ? Math.round(this.#rate(largest, 'framesEncoded')) : null),
    };
  }
}
