/**
 * A conference server inside the page: a second peer connection behind a fetch that answers as docs/api.md says. It sends
 * one coded composite and echoes what the client does, so that `web/mixdown.js` is tested against real WebRTC alone.
 */

import * as mixdown from '/web/mixdown.js';
import { attribute, sections, withFragment } from '/web/sdp.js';
import { draw, read } from './code.js';

const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
const context = canvas.getContext('2d', { alpha: false });
let frame = 0;
setInterval(() => draw(context, 3, (frame = (frame + 1) & 255)), 40);
draw(context, 3, 0);

class Server {
  requests = [];
  messages = [];
  sessions = 0;
  pc = null;
  down = false;
  #generation = 0;

  async handle(method, path, type, headers, body) {
    this.requests.push(`${method} ${type ?? ''}`.trim());
    if (this.down) throw new TypeError('no network');
    if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { Link: '<stun:127.0.0.1:3479>; rel="ice-server"' } });
    if (method === 'POST') return this.#join(body);
    if (!path.endsWith(`/pt_${this.sessions}`) || !this.pc) return new Response('{"detail":"no such participant"}', { status: 404, headers: { 'Content-Type': 'application/problem+json' } });
    if (method === 'DELETE') return this.#end();
    if (type === 'application/sdp') return this.#answer(200, body);
    if (type === 'application/trickle-ice-sdpfrag') return this.#fragment(headers, body);
    return new Response('{}', { status: 200 });
  }

  #join(offer) {
    this.pc?.close();
    this.sessions += 1;
    this.pc = new RTCPeerConnection();
    this.pc.ondatachannel = ({ channel }) => this.#channel(channel);
    return this.#answer(201, offer, { Location: `/v1/rooms/loop/participants/pt_${this.sessions}` });
  }

  async #answer(status, sdp, headers = {}) {
    this.offer = sdp;
    const { pc } = this;
    await pc.setRemoteDescription({ type: 'offer', sdp });
    const video = pc.getTransceivers().find((t) => t.receiver.track.kind === 'video');
    if (video && !video.sender.track) {
      video.direction = 'sendrecv';
      await video.sender.replaceTrack(canvas.captureStream(25).getVideoTracks()[0]);
    }
    await pc.setLocalDescription();
    await this.#gathered();
    return new Response(pc.localDescription.sdp, { status, headers: { ...headers, ETag: `"${this.#generation}"`, 'Content-Type': 'application/sdp' } });
  }

  async #fragment(headers, body) {
    const lines = body.split('\r\n');
    const current = attribute(sections(this.offer).media[0], 'ice-ufrag');
    if (attribute(lines, 'ice-ufrag') === current) {
      for (const line of lines.filter((text) => text.startsWith('a=candidate:'))) {
        await this.pc.addIceCandidate({ candidate: line.slice(2), sdpMLineIndex: 0 }).catch(() => {});
      }
      return new Response(null, { status: 204 });
    }
    this.restartedWith = headers.get('If-Match');
    this.#generation += 1;
    const answer = await this.#answer(200, withFragment(this.offer, body));
    const first = sections(await answer.text()).media[0];
    const part = first.filter((line) => /^(m=|a=(mid|ice-ufrag|ice-pwd|candidate|end-of))/.test(line)).join('\r\n');
    return new Response(`${part}\r\n`, { status: 200, headers: { ETag: `"${this.#generation}"`, 'Content-Type': 'application/trickle-ice-sdpfrag' } });
  }

  async #gathered() {
    const { pc } = this;
    if (pc.iceGatheringState === 'complete') return;
    await new Promise((resolve) => pc.addEventListener('icegatheringstatechange', () => pc.iceGatheringState === 'complete' && resolve()));
  }

  #channel(channel) {
    const id = `pt_${this.sessions}`;
    const say = (message) => channel.readyState === 'open' && channel.send(JSON.stringify(message));
    this.say = say;
    channel.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      this.messages.push(message);
      if (message.type === 'chat') say({ type: 'chat', participant: id, name: 'Ann', text: message.text, at: '2026-01-01T12:00:00Z' });
    };
    const greet = () => {
      say({ type: 'hello', participant: id, room: 'loop', view: 'main' });
      say({ type: 'roster', participants: [{ id, name: 'Ann' }, { id: 'pt_x', name: 'Bob', muted_audio: true }] });
      say({ type: 'tiles', rtp_timestamp: 0, width: 640, height: 360, tiles: [{ participant: 'pt_x', name: 'Bob', source: 'camera', x: 0, y: 0, width: 1, height: 1, speaking: false, muted: true }] });
    };
    if (channel.readyState === 'open') greet();
    else channel.onopen = greet;
  }

  #end() {
    this.pc.close();
    this.pc = null;
    return new Response(null, { status: 204 });
  }

  /** What the server receives: kinds of the m-lines that send, in their order. */
  sends() {
    return sections(this.offer).media
      .filter((part) => !part[0].startsWith('m=application') && part.some((line) => line === 'a=sendrecv' || line === 'a=sendonly'))
      .map((part) => part[0].slice(2, 7) + (part.includes('a=content:slides') ? ' slides' : ''));
  }
}

const server = new Server();
const real = globalThis.fetch;
globalThis.fetch = (input, init = {}) => {
  const url = new URL(input, location.href);
  if (!url.pathname.startsWith('/v1/')) return real(input, init);
  const headers = new Headers(init.headers);
  return server.handle(init.method ?? 'GET', url.pathname, headers.get('Content-Type'), headers, init.body);
};

/** @returns a picture of its own */
function camera() {
  const own = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  const brush = own.getContext('2d', { alpha: false });
  let n = 0;
  setInterval(() => draw(brush, 1, (n = (n + 1) & 255)), 40);
  draw(brush, 1, 0);
  return own.captureStream(25);
}

/** Reads the code of the received picture. */
function look() {
  const video = document.getElementById('composite');
  const image = Object.assign(document.createElement('canvas'), { width: video.videoWidth || 1, height: video.videoHeight || 1 });
  const brush = image.getContext('2d');
  brush.drawImage(video, 0, 0);
  return read(brush.getImageData(0, 0, image.width, image.height), { x: 0, y: 0, width: 1, height: 1 });
}

Object.assign(window, { mixdown, server, camera, look });
