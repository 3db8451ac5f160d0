/**
 * A bad link between a browser and mixdown: a UDP proxy in user space with loss, delay, a rate and a queue before it. Seeded: the same
 * dice for every run, on real time.
 */

import { createSocket } from 'node:dgram';

/** SplitMix32. @param {number} seed */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** One direction. */
class Way {
  /** Bits per second, milliseconds, share; what waits longer than `queue` is lost. */
  link = { rate: Infinity, delay: 0, loss: 0, queue: 1000 };
  /** Bytes that were sent into it, and that came out or will. */
  offered = 0;
  carried = 0;
  #free = 0;

  /** @param {() => number} roll */
  constructor(roll) {
    this.roll = roll;
  }

  /** How long a packet of now waits for those before it, in milliseconds. */
  get waits() {
    return Math.max(0, this.#free - performance.now());
  }

  /** @param {number} bytes @param {() => void} arrive */
  send(bytes, arrive) {
    const { rate, delay, loss, queue } = this.link;
    this.offered += bytes;
    if (this.waits > queue || this.roll() < loss) return;
    const now = performance.now();
    this.#free = Math.max(this.#free, now) + (bytes * 8000) / rate;
    this.carried += bytes;
    setTimeout(arrive, this.#free - now + delay);
  }
}

/**
 * @param {number} server - mixdown's UDP port on 127.0.0.1
 * @param {number} [seed]
 */
export async function impair(server, seed = 1) {
  const roll = dice(seed);
  const [up, down] = [new Way(roll), new Way(roll)];
  const front = createSocket('udp4');
  const backs = new Map();
  let closed = false;
  const send = (socket, packet, port) => closed || socket.send(packet, port, '127.0.0.1', () => {});
  front.on('message', (packet, { port }) => {
    let back = backs.get(port);
    if (!back) {
      backs.set(port, (back = createSocket('udp4')));
      back.on('message', (answer) => down.send(answer.length, () => send(front, answer, port)));
      back.on('error', () => {});
    }
    up.send(packet.length, () => send(back, packet, server));
  });
  await new Promise((resolve) => front.bind(0, '127.0.0.1', resolve));
  const close = () => {
    closed = true;
    for (const socket of [front, ...backs.values()]) socket.close();
  };
  return { port: front.address().port, up, down, close };
}

/** The port of mixdown's UDP candidate in an answer. @param {string} sdp */
export const portOf = (sdp) => Number(/^a=candidate:\S+ 1 udp \d+ \S+ (\d+) /im.exec(sdp)?.[1]);

/** The answer with the proxy in place of mixdown, and no other way. @param {string} sdp @param {number} port */
export function through(sdp, port) {
  const lines = sdp.split('\r\n').filter((line) => !/^a=candidate:\S+ \d+ tcp /i.test(line));
  return lines.map((line) => line.replace(/^(a=candidate:\S+ 1 udp \d+) \S+ \d+ /i, `$1 127.0.0.1 ${port} `)).join('\r\n');
}

const COLOURS = ['#60a5fa', '#fb923c', '#4ade80', '#f472b6'];

/**
 * A chart as a page: panels of curves over seconds.
 *
 * @param {string} title
 * @param {{at: number}[]} rows
 * @param {Record<string, string[]>} panels - the names of each panel's columns
 */
export function chart(title, rows, panels) {
  const [width, height, left] = [1000, 170, 80];
  const end = Math.max(...rows.map(({ at }) => at), 1);
  const parts = Object.entries(panels).map(([unit, columns], index) => {
    const most = Math.max(1, ...rows.flatMap((row) => columns.map((name) => row[name]).filter(Number.isFinite)));
    const top = 40 + index * height;
    const place = (at, value) => `${left + (at / end) * (width - left - 20)},${top + height - 30 - (value / most) * (height - 60)}`;
    const curves = columns.map((name, n) => {
      const points = rows.filter((row) => Number.isFinite(row[name])).map((row) => place(row.at, row[name])).join(' ');
      return `<polyline points="${points}" fill="none" stroke="${COLOURS[n]}" stroke-width="1.6"/><text x="${left + 240 + n * 130}" y="${top + 8}" fill="${COLOURS[n]}">${name}</text>`;
    });
    return `<text x="${left}" y="${top + 8}">${unit}</text><text x="4" y="${top + 36}">${Math.round(most)}</text><text x="4" y="${top + height - 28}">0</text>${curves.join('')}`;
  });
  const all = 60 + parts.length * height;
  return `<body style="margin:0;background:#121218"><svg width="${width}" height="${all}" font-family="sans-serif" font-size="13" fill="#eee"><text x="8" y="20" font-size="16">${title}</text>${parts.join('')}<text x="${left}" y="${all - 12}">0 to ${Math.round(end)} seconds</text></svg>`;
}
