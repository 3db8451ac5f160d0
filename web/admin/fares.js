/**
 * How outputs fare, in words, and whether a link leads to them; knows no document.
 *
 * @module
 */

const WORDS = {
  connect: 'nothing answers there', address: 'not an address that may be asked', timeout: 'no answer in time', refused: 'the other side refuses it', tls: 'no certificate to trust',
  closed: 'the other side has ended it', slow: 'the other side is too slow', program: 'its program does not run', internal_error: 'an internal error',
};

/** How an output fares, in words. @param {{state: string, reason: string | null, failures: number, retry_at: string | null}} output @param {number} now */
export function fares({ state, reason, failures, retry_at: again }, now) {
  if (state !== 'interrupted') return reason && state === 'failed' ? `${state}: ${WORDS[reason] ?? reason}` : state;
  const wait = again ? Math.max(0, Math.round((Date.parse(again) - now) / 1000)) : 0;
  return `interrupted: ${WORDS[reason] ?? reason}, ${failures} in a row, again in ${wait} s`;
}

/**
 * Whether a link fetches an output: it carries no credentials, and what goes to another server is not here.
 *
 * @param {{url: string, public: boolean}} output
 * @param {boolean} asked - whether this server asks for credentials
 */
export const follows = ({ url, public: open }, asked) => url.startsWith('/') && (open || !asked);
