/**
 * A picture that a machine can read after scaling, cropping and lossy coding: who it is (0–7) and which frame (0–255).
 *
 * The background is one of eight colours. In the middle stands a grid of 5 × 3 black and white cells: three bits of id,
 * eight of the frame number, four of check. The grid lies in the middle 0.8 × 0.6 heights, so that a crop to a portrait
 * tile leaves it whole, and the corners are free for names, signs and borders.
 */

export const COLOURS = [
  [200, 60, 50],
  [60, 160, 70],
  [60, 90, 210],
  [190, 170, 40],
  [160, 60, 190],
  [40, 170, 180],
  [220, 130, 40],
  [120, 120, 120],
];

const COLUMNS = 5;
const ROWS = 3;
const CELL_WIDTH = 0.16;
const CELL_HEIGHT = 0.2;
const TOP = -0.36;

const check = (id, frame) => (id * 5 + (frame >> 4) * 3 + (frame & 15) * 7 + 9) & 15;

/** The cells row by row, as bits. @param {number} id @param {number} frame @returns {number[]} */
export function encode(id, frame) {
  const word = ((id & 7) << 12) | ((frame & 255) << 4) | check(id & 7, frame & 255);
  return Array.from({ length: COLUMNS * ROWS }, (_, bit) => (word >> (COLUMNS * ROWS - 1 - bit)) & 1);
}

/** The inverse of `encode`; null when the check does not fit. @param {number[]} bits */
export function decode(bits) {
  const word = bits.reduce((sum, bit) => sum * 2 + bit, 0);
  const [id, frame] = [word >> 12, (word >> 4) & 255];
  return check(id, frame) === (word & 15) ? { id, frame } : null;
}

/** Middle of each cell in heights from the picture's middle, and the cell's index. */
export const cells = Array.from({ length: COLUMNS * ROWS }, (_, index) => ({
  x: ((index % COLUMNS) - (COLUMNS - 1) / 2) * CELL_WIDTH,
  y: TOP + (Math.floor(index / COLUMNS) + 0.5) * CELL_HEIGHT,
}));

/** Draws frame `frame` of `id` over a whole canvas. @param {CanvasRenderingContext2D} context @param {number} id @param {number} frame */
export function draw(context, id, frame) {
  const { width, height } = context.canvas;
  context.fillStyle = `rgb(${COLOURS[id & 7].join(' ')})`;
  context.fillRect(0, 0, width, height);
  encode(id, frame).forEach((bit, index) => {
    const { x, y } = cells[index];
    context.fillStyle = bit ? '#ebebeb' : '#141414';
    context.fillRect(width / 2 + (x - CELL_WIDTH / 2) * height, height / 2 + (y - CELL_HEIGHT / 2) * height, CELL_WIDTH * height + 1, CELL_HEIGHT * height + 1);
  });
}

/** Mean colour of a patch of (2r+1)² pixels. */
function patch({ data, width, height }, cx, cy, r) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let y = Math.max(0, cy - r); y <= Math.min(height - 1, cy + r); y += 1) {
    for (let x = Math.max(0, cx - r); x <= Math.min(width - 1, cx + r); x += 1) {
      const at = (y * width + x) * 4;
      for (let channel = 0; channel < 3; channel += 1) sum[channel] += data[at + channel];
      count += 1;
    }
  }
  return count > 0 ? sum.map((value) => value / count) : [0, 0, 0];
}

const luma = ([r, g, b]) => 0.3 * r + 0.59 * g + 0.11 * b;

/** Index of the nearest of the eight colours. */
export function nearest(colour) {
  const distance = (other) => other.reduce((sum, value, channel) => sum + (value - colour[channel]) ** 2, 0);
  return COLOURS.reduce((best, other, index) => (distance(other) < distance(COLOURS[best]) ? index : best), 0);
}

function readAs(image, tile, height) {
  const middleX = (tile.x + tile.width / 2) * image.width;
  const middleY = (tile.y + tile.height / 2) * image.height;
  const radius = Math.max(1, Math.round(height * 0.03));
  const at = ({ x, y }) => patch(image, Math.round(middleX + x * height), Math.round(middleY + y * height), radius);
  const found = decode(cells.map((cell) => (luma(at(cell)) > 128 ? 1 : 0)));
  // Just below the grid there is background in every crop.
  return found && { ...found, colour: nearest(at({ x: 0.2, y: 0.34 })) };
}

/** Scales at which a sent picture may stand in a tile: filling it (cover), or inside of it (contain). */
function heights(image, tile, aspect) {
  const [wide, high] = [tile.width * image.width, tile.height * image.height];
  return [Math.max(high, wide / aspect), Math.min(high, wide / aspect)];
}

/**
 * Ids whose code and colour stand in a tile: one, or none while it shows nobody's picture.
 *
 * @param {ImageData} image - the whole composite
 * @param {{x: number, y: number, width: number, height: number}} tile - in fractions of it
 * @param {number} [aspect] - of the sent picture
 * @returns {number[]}
 */
export function ids(image, tile, aspect = 16 / 9) {
  return heights(image, tile, aspect).map((height) => readAs(image, tile, height)).flatMap((code) => (code && code.id === code.colour ? [code.id] : []));
}

/**
 * Reads the code in a tile; the picture may fill the tile (cover) or stand inside it (contain).
 *
 * @param {ImageData} image - the whole composite
 * @param {{x: number, y: number, width: number, height: number}} tile - in fractions of it
 * @param {number} [aspect] - of the sent picture
 * @returns {{id: number, frame: number, colour: number} | null}
 */
export function read(image, tile, aspect = 16 / 9) {
  const [cover, contain] = heights(image, tile, aspect);
  return readAs(image, tile, cover) ?? readAs(image, tile, contain);
}
