/**
 * Text work on SDP, trickle fragments and Link headers. Pure functions: no browser object is touched, so they run
 * under any JavaScript engine. They change as few lines as possible and keep the rest byte for byte.
 *
 * @module
 */

const EOL = '\r\n';

/** @param {string} text @returns {string[]} */
const lines = (text) => text.split(/\r\n|\n/).filter((line) => line !== '');

/**
 * Splits a description into its session part and its media sections.
 *
 * @param {string} sdp
 * @returns {{session: string[], media: string[][]}}
 */
export function sections(sdp) {
  const session = [];
  const media = [];
  for (const line of lines(sdp)) {
    if (line.startsWith('m=')) media.push([]);
    (media.at(-1) ?? session).push(line);
  }
  return { session, media };
}

/** The value of the first `a=name:value` among `part`, or undefined. @param {string[]} part @param {string} name */
export function attribute(part, name) {
  const prefix = `a=${name}:`;
  return part.find((line) => line.startsWith(prefix))?.slice(prefix.length);
}

const join = ({ session, media }) => [...session, ...media.flat()].map((line) => line + EOL).join('');

/**
 * Marks media sections as slides (`a=content:slides`, RFC 4796), which tells the server that they carry a screen.
 *
 * @param {string} sdp
 * @param {Set<string>} mids - identifiers of the sections to mark
 */
export function markSlides(sdp, mids) {
  if (mids.size === 0) return sdp;
  const parts = sections(sdp);
  parts.media = parts.media.map((part) => {
    const marked = part.some((line) => line.startsWith('a=content:'));
    return mids.has(attribute(part, 'mid') ?? '') && !marked ? [...part, 'a=content:slides'] : part;
  });
  return join(parts);
}

/**
 * A trickle fragment (RFC 8840) for the first section of a bundle: the ICE credentials of `sdp` and some candidates.
 *
 * @param {string} sdp - the local description the candidates belong to
 * @param {string[]} candidates - `candidate:…` lines as RTCIceCandidate gives them
 * @param {boolean} end - whether no more will follow
 */
export function fragment(sdp, candidates, end) {
  const { session, media } = sections(sdp);
  const first = media[0] ?? [];
  const find = (name) => attribute(first, name) ?? attribute(session, name);
  const out = [`a=ice-ufrag:${find('ice-ufrag')}`, `a=ice-pwd:${find('ice-pwd')}`];
  if (first[0]) out.push(first[0]);
  if (find('mid') !== undefined) out.push(`a=mid:${find('mid')}`);
  out.push(...candidates.map((text) => (text.startsWith('a=') ? text : `a=${text}`)));
  if (end) out.push('a=end-of-candidates');
  return out.map((line) => line + EOL).join('');
}

/**
 * The answer that follows from an ICE restart by fragment (RFC 9725 §4.3.3): the previous remote description with
 * the fragment's credentials and candidates in the place of the old ones.
 *
 * @param {string} sdp - the remote description in force
 * @param {string} text - the body of the 200 answer
 * @throws {Error} when the fragment carries no credentials
 */
export function withFragment(sdp, text) {
  const fresh = lines(text);
  const ufrag = attribute(fresh, 'ice-ufrag');
  const pwd = attribute(fresh, 'ice-pwd');
  if (!ufrag || !pwd) throw new Error('the fragment carries no ICE credentials');
  const candidates = fresh.filter((line) => line.startsWith('a=candidate:'));
  const stale = (line) => /^a=(candidate:|end-of-candidates)/.test(line);
  const renew = (line) =>
    line.startsWith('a=ice-ufrag:') ? `a=ice-ufrag:${ufrag}` : line.startsWith('a=ice-pwd:') ? `a=ice-pwd:${pwd}` : line;
  const { session, media } = sections(sdp);
  return join({
    session: session.filter((line) => !stale(line)).map(renew),
    media: media.map((part, index) => [
      ...part.filter((line) => !stale(line)).map(renew),
      ...(index === 0 ? [...candidates, 'a=end-of-candidates'] : []),
    ]),
  });
}

/**
 * Reads `Link: <turn:…>; rel="ice-server"; username="…"; credential="…"` (RFC 9725 §4.6) into RTCIceServer objects.
 *
 * @param {string | null} header - all Link values, comma separated
 * @returns {RTCIceServer[]}
 */
export function iceServers(header) {
  if (!header) return [];
  const servers = [];
  for (const [, url, rest] of header.matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]+))*)/g)) {
    const params = {};
    for (const [, name, quoted, plain] of rest.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+))/g)) {
      params[name.toLowerCase()] = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
    }
    if (!params.rel?.split(/\s+/).includes('ice-server') || !/^(stuns?|turns?):/i.test(url)) continue;
    const server = { urls: url };
    if (params.username !== undefined) server.username = params.username;
    if (params.credential !== undefined) server.credential = params.credential;
    servers.push(server);
  }
  return servers;
}
