/** Which tones are in a sound. Each sender has its own frequency; none is a multiple of another. */

export const TONES = [523, 661, 797, 937, 1103, 1297, 1511, 1759];

/**
 * Level of each tone over the floor around it, in dB.
 *
 * @param {Float32Array} spectrum - dB per bin, as AnalyserNode gives it
 * @param {number} width - of a bin in Hz
 */
export function levels(spectrum, width) {
  const sorted = Float32Array.from(spectrum.slice(Math.round(300 / width), Math.round(3000 / width))).sort();
  const floor = Math.max(sorted[sorted.length >> 1], -110);
  return TONES.map((frequency) => {
    const bin = Math.round(frequency / width);
    return Math.max(...spectrum.slice(bin - 2, bin + 3)) - floor;
  });
}

/** Indices of the tones that stand out: by `over` dB from the floor, and no more than `under` dB below the loudest. */
export function heard(spectrum, width, over = 25, under = 25) {
  const found = levels(spectrum, width);
  const top = Math.max(...found);
  return found.flatMap((level, index) => (level >= over && level >= top - under ? [index] : []));
}
