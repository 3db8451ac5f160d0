/**
 * Recording in the room page: the sign, the button of those who may, and what one allows of oneself.
 *
 * @module
 */

import { announce, prefs, toast } from './ui.js';

const $ = (id) => document.getElementById(id);

/** What is said after a choice. */
const SAID = {
  allow: 'Your picture and your voice may be recorded',
  avatar: 'Recordings show your name in place of your picture',
  audio_only: 'Recordings have your voice, and neither your picture nor your name',
  deny: 'You are left out of recordings',
};

export class Recorder {
  #conference;
  /** What was asked for, until the server's word comes. */
  #pending = false;

  /** @param {import('./mixdown.js').Conference} conference @param {(error: Error) => void} report */
  constructor(conference, report) {
    this.#conference = conference;
    $('record').hidden = !conference.may.record;
    $('record').onclick = () => this.toggle().catch(report);
    $('consent').value = prefs.get('consent', 'allow');
    $('consent').onchange = () => this.#choose().catch(report);
    conference.addEventListener('recording', ({ detail }) => this.#show(detail));
    // A session that is begun anew is somebody new to the server.
    conference.addEventListener('hello', () => this.#tell().catch(report));
    this.#show({ active: conference.recording, recordings: conference.recordings });
    this.#tell().catch(report);
  }

  #running(recordings) {
    return recordings.filter(({ state }) => state !== 'stopping');
  }

  /** Begins, or ends what runs. */
  async toggle() {
    if (this.#pending) return;
    const running = this.#running(this.#conference.recordings);
    this.#pending = true;
    $('record').disabled = true;
    try {
      if (running.length === 0) await this.#conference.record();
      else if (confirm('Stop recording for everybody?')) await Promise.all(running.map(({ id }) => this.#conference.stopRecording(id)));
    } finally {
      this.#pending = false;
      $('record').disabled = false;
    }
  }

  #show({ active, recordings }) {
    if ($('recording').hidden === active) toast(active ? 'This room is being recorded' : 'Recording has stopped');
    $('recording').hidden = !active;
    const on = this.#running(recordings).length > 0;
    $('record').setAttribute('aria-pressed', String(on));
    $('record').classList.toggle('active', on);
    $('record').querySelector('span').textContent = on ? 'Stop recording' : 'Record';
  }

  async #choose() {
    const { value } = $('consent');
    prefs.set('consent', value);
    await this.#conference.setConsent(value);
    announce(SAID[value]);
  }

  async #tell() {
    const consent = $('consent').value;
    if (consent !== 'allow' && this.#conference.id) await this.#conference.setConsent(consent);
  }
}
