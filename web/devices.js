/**
 * Camera and microphone: asks for what there is, keeps the choice, measures the level. A person without any device,
 * or who refuses them, gets none and can go on.
 *
 * @module
 */

import { prefs } from './ui.js';

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** Events: `change` (what is captured or available has changed). */
export class Devices extends EventTarget {
  /** @type {MediaStreamTrack | null} */
  camera = null;
  /** @type {MediaStreamTrack | null} */
  microphone = null;
  /** Why the last request failed, in words for the person. */
  problem = '';
  /** Settled once the last request is: its devices are there, or will not come. @type {Promise<void>} */
  opened = Promise.resolve();
  /** @type {MediaDeviceInfo[]} */
  #known = [];

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.#list());
  }

  /** Devices that can be chosen. @param {'videoinput' | 'audioinput'} kind */
  choices(kind) {
    return this.#known.filter((device) => device.kind === kind && device.deviceId !== '');
  }

  /**
   * Opens what was asked for, as far as it exists: both at once, so that the browser asks once.
   *
   * @param {{camera: boolean, microphone: boolean}} wanted
   */
  open(wanted) {
    this.opened = this.#open(wanted);
    return this.opened;
  }

  async #open({ camera, microphone }) {
    const want = { video: camera && !this.camera, audio: microphone && !this.microphone };
    if (!want.video && !want.audio) return this.#changed();
    if (!navigator.mediaDevices?.getUserMedia) {
      this.problem = 'This page has no access to camera and microphone: browsers allow it over https or on localhost only.';
      return this.#changed();
    }
    this.problem = '';
    const attempts = want.video && want.audio ? [want, { audio: true }, { video: true }] : [want];
    for (const attempt of attempts) {
      if (!(await this.#capture(attempt))) continue;
      // Of two that were asked for, one is there: what was wrong with both is not wrong with it.
      if (attempt !== want) this.problem = attempt.audio ? NO_CAMERA : NO_MICROPHONE;
      break;
    }
    await this.#list();
  }

  /** @param {'camera' | 'microphone'} source */
  close(source) {
    this[source]?.stop();
    this[source] = null;
    this.#changed();
  }

  /** Changes over to another device. @param {'camera' | 'microphone'} source @param {string} id */
  async choose(source, id) {
    prefs.set(source, id);
    this[source]?.stop();
    this[source] = null;
    await this.open({ camera: source === 'camera', microphone: source === 'microphone' });
  }

  async #capture({ video, audio }) {
    const exact = (source) => {
      const id = prefs.get(source, '');
      return id ? { deviceId: { ideal: id } } : {};
    };
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: video ? { ...VIDEO, ...exact('camera') } : false,
        audio: audio ? { ...AUDIO, ...exact('microphone') } : false,
      });
      for (const track of stream.getTracks()) this.#keep(track.kind === 'video' ? 'camera' : 'microphone', track);
      return true;
    } catch (error) {
      this.problem = PROBLEMS[error.name] ?? `Camera or microphone cannot be used (${error.name}).`;
      return false;
    }
  }

  #keep(source, track) {
    this[source]?.stop();
    this[source] = track;
    track.addEventListener('ended', () => {
      if (this[source] !== track) return;
      this[source] = null;
      this.#changed();
    });
  }

  async #list() {
    this.#known = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}

const NO_CAMERA = 'The camera cannot be used. You are heard, but not seen.';
const NO_MICROPHONE = 'The microphone cannot be used. You are seen, but not heard.';

const PROBLEMS = {
  NotAllowedError: 'Access to camera and microphone was denied. You can still watch and listen.',
  NotFoundError: 'No camera or microphone was found. You can still watch and listen.',
  NotReadableError: 'The camera or microphone is in use by another program.',
};

/** Measures how loud a microphone is. */
export class Meter {
  #context = null;
  #timer = 0;
  #source = null;

  /** @param {(level: number) => void} show - is told a level of 0–1 about fifteen times a second */
  constructor(show) {
    this.show = show;
  }

  /** @param {MediaStreamTrack | null} track */
  follow(track) {
    this.#source?.disconnect();
    this.#source = null;
    clearInterval(this.#timer);
    this.show(0);
    if (!track || !globalThis.AudioContext) return;
    this.#context ??= new AudioContext();
    this.#context.resume().catch(() => {});
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    const samples = new Float32Array(analyser.fftSize);
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(analyser);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      const decibels = 10 * Math.log10(power + 1e-9);
      this.show(Math.min(1, Math.max(0, (decibels + 60) / 50)));
    }, 66);
  }

  close() {
    this.follow(null);
    this.#context?.close().catch(() => {});
    this.#context = null;
  }
}
