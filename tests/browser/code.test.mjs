import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cells, COLOURS, decode, encode, ids, nearest, read } from './pages/code.js';
import { heard, TONES } from './pages/tone.js';

/** What `draw` paints, without a canvas. */
function paint(image, { x, y, width, height }, id, frame) {
  const [w, h] = [width * image.width, height * image.height];
  const bits = encode(id, frame);
  const set = (px, py, colour) => image.data.set([...colour, 255], (py * image.width + px) * 4);
  for (let py = 0; py < h; py += 1) {
    for (let px = 0; px < w; px += 1) {
      const [u, v] = [(px - w / 2) / h, (py - h / 2) / h];
      const cell = cells.findIndex((c) => Math.abs(c.x - u) <= 0.08 && Math.abs(c.y - v) <= 0.1);
      const colour = cell < 0 ? COLOURS[id] : bits[cell] ? [235, 235, 235] : [20, 20, 20];
      set(Math.round(x * image.width + px), Math.round(y * image.height + py), colour);
    }
  }
}

const blank = (width, height) => ({ width, height, data: new Uint8ClampedArray(width * height * 4) });

test('every id and every frame number comes back', () => {
  for (let id = 0; id < 8; id += 1) for (let frame = 0; frame < 256; frame += 1) assert.deepEqual(decode(encode(id, frame)), { id, frame });
});

test('a single wrong cell is noticed', () => {
  for (let bit = 0; bit < 15; bit += 1) {
    const bits = encode(5, 77);
    bits[bit] ^= 1;
    assert.equal(decode(bits), null, `cell ${bit}`);
  }
});

test('four codes in one composite are read at their own tiles', () => {
  const image = blank(640, 360);
  const tile = (id) => ({ x: (id % 2) / 2, y: (id >> 1) / 2, width: 0.5, height: 0.5 });
  for (const id of [0, 1, 2, 3]) paint(image, tile(id), id, 40 + id);
  for (const id of [0, 1, 2, 3]) assert.deepEqual(read(image, tile(id)), { id, frame: 40 + id, colour: id });
});

test('a code is read from a portrait tile that crops the picture', () => {
  const image = blank(320, 360);
  paint(image, { x: 0, y: 0, width: 1, height: 1 }, 6, 201);
  assert.deepEqual(read(image, { x: 0, y: 0, width: 1, height: 1 }), { id: 6, frame: 201, colour: 6 });
});

test('who stands in a tile is known by code and colour together', () => {
  const image = blank(640, 360);
  const tile = { x: 0.5, y: 0, width: 0.5, height: 1 };
  paint(image, { x: 0.5, y: 0.25, width: 0.5, height: 0.5 }, 3, 17);
  assert.deepEqual(ids(image, tile), [3], 'a picture that stands inside of its tile');
  assert.deepEqual(ids(image, { ...tile, x: 0 }), []);
  assert.deepEqual(ids(image, { x: 0.25, y: 0, width: 0.5, height: 1 }), [], 'between two tiles');
});

test('an empty tile holds no code', () => {
  const image = blank(320, 180);
  image.data.fill(90);
  assert.equal(read(image, { x: 0, y: 0, width: 1, height: 1 }), null);
});

test('colours are told apart after a lossy way', () => {
  COLOURS.forEach((colour, index) => assert.equal(nearest(colour.map((value) => value * 0.9 + 12)), index));
});

test('only the tones that sound are heard', () => {
  const width = 48000 / 8192;
  const spectrum = new Float32Array(4096).fill(-105);
  for (const [tone, level] of [[1, -32], [4, -35], [6, -80]]) spectrum[Math.round(TONES[tone] / width)] = level;
  assert.deepEqual(heard(spectrum, width), [1, 4]);
});
