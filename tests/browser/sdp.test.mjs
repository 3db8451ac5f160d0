import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './modules.mjs';

const { fragment, iceServers, markSlides, withFragment } = await load('sdp.js');
const text = (...lines) => lines.map((line) => `${line}\r\n`).join('');

const OFFER = text(
  'v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0 1 2',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'a=mid:0', 'a=sendrecv',
  'm=video 9 UDP/TLS/RTP/SAVPF 96', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'a=mid:1', 'a=sendrecv',
  'm=video 9 UDP/TLS/RTP/SAVPF 96', 'a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'a=mid:2', 'a=sendonly',
);

test('only the screen is marked as slides, and everything else stays as it was', () => {
  const marked = markSlides(OFFER, new Set(['2']));
  assert.equal(marked, OFFER + text('a=content:slides'));
  assert.equal(markSlides(OFFER, new Set()), OFFER);
  assert.equal(markSlides(marked, new Set(['2'])), marked);
});

test('a trickle fragment carries credentials, section and candidates', () => {
  const candidate = 'candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host';
  assert.equal(
    fragment(OFFER, [candidate], true),
    text('a=ice-ufrag:abcd', 'a=ice-pwd:0123456789012345678901', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', `a=${candidate}`, 'a=end-of-candidates'),
  );
});

test('an ICE restart changes credentials and candidates and nothing else', () => {
  const old = OFFER.replace('a=mid:0\r\n', 'a=mid:0\r\na=candidate:9 1 udp 1 192.0.2.9 9 typ host\r\n');
  const fresh = text('a=ice-ufrag:wxyz', 'a=ice-pwd:9876543210987654321098', 'm=audio 9 RTP/AVP 0', 'a=mid:0', 'a=candidate:1 1 udp 1 192.0.2.2 2 typ host');
  const answer = withFragment(old, fresh);
  assert.equal(answer.match(/a=ice-ufrag:wxyz/g).length, 3);
  assert.equal(answer.match(/a=ice-pwd:9876543210987654321098/g).length, 3);
  assert.ok(!answer.includes('192.0.2.9') && answer.includes('192.0.2.2'));
  const rest = (sdp) => sdp.split('\r\n').filter((line) => !/^a=(ice-ufrag|ice-pwd|candidate|end-of)/.test(line));
  assert.deepEqual(rest(answer), rest(OFFER));
  assert.throws(() => withFragment(OFFER, text('a=mid:0')), /credentials/);
});

test('ICE servers are read from Link, with commas and quotes inside of values', () => {
  const header =
    '<stun:stun.example.net>; rel="ice-server", </v1/x>; rel="next", ' +
    '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="17:ann,b"; credential="a\\"b;c"; credential-type="password", ' +
    '<https://example.net/>; rel="ice-server"';
  assert.deepEqual(iceServers(header), [
    { urls: 'stun:stun.example.net' },
    { urls: 'turn:turn.example.net?transport=udp', username: '17:ann,b', credential: 'a"b;c' },
  ]);
  assert.deepEqual(iceServers(null), []);
});
