/**
 * A participant for tests: sends a coded picture and a tone through `web/mixdown.js`, reads the composite back.
 * Everything that a test may ask for hangs on `window.bot`.
 */

import { join } from '/web/mixdown.js';
import { draw, ids, read } from './code.js';
import { heard, levels, TONES } from './tone.js';

const FPS = 25;

/** Pictures of noise, which take all the bits that there are. */
function noise(width, height) {
  return Array.from({ length: 8 }, () => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d', { alpha: false });
    const image = context.createImageData(width, height);
    for (let at = 0; at < image.data.length; at += 1) image.data[at] = at % 4 === 3 ? 255 : 64 + Math.random() * 128;
    context.putImageData(image, 0, 0);
    return canvas;
  });
}

/** A canvas that draws the code of `id` for ever. `busy`: with noise below it. */
function codedStream(id, width, height, busy = false) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d', { alpha: false });
  const below = busy ? noise(width, Math.floor(height / 8)) : [];
  let frame = 0;
  const step = () => {
    draw(context, id, (frame = (frame + 1) & 255));
    if (busy) context.drawImage(below[frame % below.length], 0, height - Math.floor(height / 8));
  };
  step();
  setInterval(step, 1000 / FPS);
  return canvas.captureStream(FPS);
}

async function toneTrack(context, id) {
  const oscillator = new OscillatorNode(context, { frequency: TONES[id] });
  const out = new MediaStreamAudioDestinationNode(context);
  oscillator.connect(new GainNode(context, { gain: 0.2 })).connect(out);
  oscillator.start();
  return out.stream.getAudioTracks()[0];
}

/** In whose places somebody else stands. @param {ImageData} image */
function astray(image, tiles) {
  return tiles.filter(({ name, ...tile }) => ids(image, tile).some((id) => name !== `bot ${id}`)).map(({ name }) => name);
}

/** Which share of the picture is brighter than its background. @param {ImageData} image */
function filled({ data, width, height }) {
  let bright = 0;
  let all = 0;
  for (let y = 8; y < height; y += 16) {
    for (let x = 8; x < width; x += 16) {
      const at = (y * width + x) * 4;
      bright += Math.max(data[at], data[at + 1], data[at + 2]) > 48 ? 1 : 0;
      all += 1;
    }
  }
  return bright / all;
}

class Bot {
  messages = [];
  states = [];
  errors = [];
  #video = document.getElementById('composite');
  #context = new AudioContext();

  /** @param {{id: number, room: string, name?: string, codec?: string, simulcast?: boolean, width?: number, height?: number, camera?: boolean, relay?: boolean, busy?: boolean}} options */
  async join({ id, room, name = `bot ${id}`, codec, simulcast = false, width = 640, height = 360, camera = true, relay = false, busy = false }) {
    this.id = id;
    const video = camera ? codedStream(id, width, height, busy).getVideoTracks()[0] : null;
    await this.#context.resume();
    const media = { video, audio: await toneTrack(this.#context, id) };
    this.started = performance.now();
    this.conference = await join({ room, name, media, videoCodec: codec, simulcast, degradationPreference: 'maintain-resolution', iceTransportPolicy: relay ? 'relay' : 'all' });
    this.conference.addEventListener('state', ({ detail }) => this.states.push(detail.state));
    this.conference.addEventListener('chat', ({ detail }) => this.messages.push(`${detail.name}: ${detail.text}`));
    this.conference.addEventListener('error', ({ detail }) => this.errors.push(detail.detail));
    this.conference.addEventListener('picture', () => { this.pictureAfter = performance.now() - this.started; });
    this.conference.attach(this.#video);
    this.#listen();
    return this.conference.id;
  }

  #listen() {
    this.analyser = new AnalyserNode(this.#context, { fftSize: 8192, smoothingTimeConstant: 0.3 });
    const follow = () => {
      if (this.conference.stream.getAudioTracks().length === 0) return;
      this.source?.disconnect();
      this.source = this.#context.createMediaStreamSource(this.conference.stream);
      this.source.connect(this.analyser);
    };
    follow();
    this.conference.addEventListener('picture', follow);
  }

  /** The composite as it is now. */
  #image() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (width === 0) return null;
    this.canvas ??= document.createElement('canvas');
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(this.#video, 0, 0);
    return context.getImageData(0, 0, width, height);
  }

  /** What is seen at each place that the tile map names. */
  see() {
    const image = this.#image();
    const tiles = this.conference.tiles?.tiles ?? [];
    return tiles.map(({ participant, name, source, ...tile }) => ({ participant, name, source, code: image && read(image, tile) }));
  }

  /** From now on compares every picture with the tile map in force. */
  watchTiles() {
    this.compared = { frames: 0, wrong: 0 };
    const step = () => {
      const tiles = this.see();
      const fits = tiles.every(({ name, code }) => code && name === `bot ${code.id}`);
      this.compared.frames += 1;
      this.compared.wrong += fits ? 0 : 1;
      this.watching = this.#video.requestVideoFrameCallback(step);
    };
    this.watching = this.#video.requestVideoFrameCallback(step);
  }

  watched() {
    this.#video.cancelVideoFrameCallback(this.watching);
    return this.compared;
  }

  /**
   * From now on judges every picture: whether it is black, who stands in somebody else's place, for how long at most somebody
   * was missing, and for how long nobody moved. A picture may reach this page a moment before its map, so whoever stands in
   * a wrong place is looked for by the next map as well.
   */
  judge() {
    this.judged = { pictures: 0, black: 0, astray: [], missing: 0, still: 0 };
    const state = { frames: new Map(), missing: new Map(), moved: null, held: null };
    const step = (now) => {
      this.#judge(now, this.#image(), this.conference.tiles.tiles, state);
      this.judging = this.#video.requestVideoFrameCallback(step);
    };
    this.judging = this.#video.requestVideoFrameCallback(step);
  }

  #judge(now, image, tiles, state) {
    const { judged } = this;
    if (state.held && astray(state.held, tiles).length > 0) judged.astray.push(judged.pictures);
    state.held = astray(image, tiles).length > 0 ? image : null;
    judged.pictures += 1;
    judged.black += filled(image) < 0.1 ? 1 : 0;
    const names = tiles.map(({ name }) => name);
    for (const name of state.missing.keys()) if (!names.includes(name)) state.missing.delete(name);
    for (const { name, ...tile } of tiles) {
      if (ids(image, tile).length > 0) state.missing.delete(name);
      else if (!state.missing.has(name)) state.missing.set(name, now);
      judged.missing = Math.max(judged.missing, now - (state.missing.get(name) ?? now));
      const frame = read(image, tile)?.frame;
      if (frame === undefined || state.frames.get(name) === frame) continue;
      state.frames.set(name, frame);
      judged.still = Math.max(judged.still, now - (state.moved ?? now));
      state.moved = now;
    }
  }

  verdict() {
    this.#video.cancelVideoFrameCallback(this.judging);
    return this.judged;
  }

  /** The stream as the browser counts it. */
  async received() {
    const stats = [...(await this.conference.pc.getStats()).values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    return { ssrc: stats.ssrc, keyframes: stats.keyFramesDecoded };
  }

  /** Pictures, seconds that they stood still, and samples of sound, all of them and those made up. */
  async counts() {
    const all = [...(await this.conference.pc.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
    const [video, audio] = ['video', 'audio'].map((kind) => all.find((stats) => stats.kind === kind));
    const concealed = audio.concealedSamples - (audio.silentConcealedSamples ?? 0);
    return { frames: video.framesDecoded, frozen: video.totalFreezesDuration, concealed, samples: audio.totalSamplesReceived };
  }

  /** Bytes that have been sent, and pictures of each layer. */
  async sent() {
    const all = [...(await this.conference.pc.getStats()).values()];
    const layers = all.filter(({ type, kind }) => type === 'outbound-rtp' && kind === 'video');
    const pictures = Object.fromEntries(layers.map(({ rid, framesSent }) => [rid ?? 'all', framesSent]));
    return { at: performance.now(), bytes: all.find(({ type }) => type === 'transport').bytesSent, pictures };
  }

  /** Indices of the tones that are heard. */
  hear() {
    const spectrum = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(spectrum);
    const width = this.#context.sampleRate / this.analyser.fftSize;
    this.levels = levels(spectrum, width).map(Math.round);
    return heard(spectrum, width);
  }

  /** Shares a coded screen. @param {number} id */
  async shareScreen(id) {
    await this.conference.shareScreen(codedStream(id, 1280, 720));
  }

  people() {
    return this.conference.people.filter(({ kind }) => kind !== 'viewer').map(({ name }) => name).sort();
  }

  /** Frames shown so far. */
  shown() {
    return this.#video.getVideoPlaybackQuality().totalVideoFrames;
  }

  stats() {
    return this.conference.stats();
  }

  /** The candidate pair in use: kind of the own candidate, what the pair runs over, and the way to the relay, if there is one. */
  async path() {
    const all = [...(await this.conference.pc.getStats()).values()];
    const pair = all.find(({ type, state, nominated }) => type === 'candidate-pair' && state === 'succeeded' && nominated);
    const local = all.find(({ id }) => id === pair?.localCandidateId);
    return { local: local?.candidateType, protocol: local?.protocol, relay: local?.relayProtocol };
  }
}

window.bot = new Bot();
