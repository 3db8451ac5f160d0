//! Scaling one plane by an exact ratio, and turning one.
//!
//! Plain loops over row slices, shaped so that the compiler vectorises them; every kernel equals the reference in
//! its tests bit for bit. Shrinking averages boxes (rounded to nearest), doubling interpolates between pixel
//! centres. Each takes a source of [`Ratio::source`] pixels for the target's size and does nothing where either is smaller.

use super::plane::{Plane, PlaneMut};

/// Source : target, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ratio {
    /// 1:1
    Copy,
    /// 3:2
    TwoThirds,
    /// 2:1
    Half,
    /// 5:2
    TwoFifths,
    /// 3:1
    Third,
    /// 4:1
    Quarter,
    /// 1:2
    Double,
}

impl Ratio {
    pub const ALL: [Self; 7] = [Self::Copy, Self::TwoThirds, Self::Half, Self::TwoFifths, Self::Third, Self::Quarter, Self::Double];

    /// How many source pixels make `target` pixels.
    pub const fn source(self, target: usize) -> usize {
        match self {
            Self::Copy => target,
            Self::TwoThirds => (target * 3).div_ceil(2),
            Self::Half => target * 2,
            Self::TwoFifths => (target * 5).div_ceil(2),
            Self::Third => target * 3,
            Self::Quarter => target * 4,
            Self::Double => target.div_ceil(2),
        }
    }

    /// Target pixels per source pixel.
    pub const fn factor(self) -> f64 {
        match self {
            Self::Copy => 1.0,
            Self::TwoThirds => 2.0 / 3.0,
            Self::Half => 0.5,
            Self::TwoFifths => 0.4,
            Self::Third => 1.0 / 3.0,
            Self::Quarter => 0.25,
            Self::Double => 2.0,
        }
    }

    /// Scales `source` into the whole of `target`; `columns` is scratch.
    pub fn scale(self, source: Plane<'_>, target: &mut PlaneMut<'_>, columns: &mut Vec<u16>) {
        let (width, height) = (self.source(target.width), self.source(target.height));
        if width > source.width || height > source.height || target.width == 0 {
            return;
        }
        let source = source.crop(0, 0, width, height);
        match self {
            Self::Copy => copy(source, target),
            Self::TwoThirds => two_thirds(source, target, columns),
            Self::Half => half(source, target),
            Self::TwoFifths => two_fifths(source, target, columns),
            Self::Third => third(source, target, columns),
            Self::Quarter => quarter(source, target),
            Self::Double => double(source, target, columns),
        }
    }
}

/// Copies the upper left part of `source` that `target` has room for.
pub fn copy(source: Plane<'_>, target: &mut PlaneMut<'_>) {
    for y in 0..target.height.min(source.height) {
        let row = target.row(y);
        row.copy_from_slice(&source.row(y)[..row.len()]);
    }
}

fn half(source: Plane<'_>, target: &mut PlaneMut<'_>) {
    // A pair of bytes is one word, so that a vector of pairs is one load.
    let pair = |pair: [u8; 2]| u16::from_le_bytes(pair);
    let sum = |pair: u16| (pair & 0xff) + (pair >> 8);
    for y in 0..target.height {
        let (upper, lower) = (source.row(2 * y).as_chunks().0, source.row(2 * y + 1).as_chunks().0);
        for (out, (upper, lower)) in target.row(y).iter_mut().zip(upper.iter().zip(lower)) {
            *out = ((sum(pair(*upper)) + sum(pair(*lower)) + 2) >> 2) as u8;
        }
    }
}

fn quarter(source: Plane<'_>, target: &mut PlaneMut<'_>) {
    // Four bytes are one word; its even and odd bytes are summed in two halves of 16 bits.
    let halves = |four: &[u8; 4]| {
        let word = u32::from_le_bytes(*four);
        (word & 0x00ff_00ff) + ((word >> 8) & 0x00ff_00ff)
    };
    for y in 0..target.height {
        let [a, b, c, d] = [0, 1, 2, 3].map(|line| source.row(4 * y + line).as_chunks().0.iter());
        for (out, (((a, b), c), d)) in target.row(y).iter_mut().zip(a.zip(b).zip(c).zip(d)) {
            let sum = halves(a) + halves(b) + halves(c) + halves(d);
            *out = (((sum & 0xffff) + (sum >> 16) + 8) >> 4) as u8;
        }
    }
}

fn third(source: Plane<'_>, target: &mut PlaneMut<'_>, columns: &mut Vec<u16>) {
    columns.resize(source.width, 0);
    for y in 0..target.height {
        let [a, b, c] = [0, 1, 2].map(|line| source.row(3 * y + line));
        for (column, ((a, b), c)) in columns.iter_mut().zip(a.iter().zip(b).zip(c)) {
            *column = u16::from(*a) + u16::from(*b) + u16::from(*c);
        }
        for (out, [left, middle, right]) in target.row(y).iter_mut().zip(columns.as_chunks().0) {
            *out = ninth(left + middle + right);
        }
    }
}

/// `sum / 9`, rounded to nearest, for sums of nine bytes.
fn ninth(sum: u16) -> u8 {
    (((u32::from(sum) + 4) * 7282) >> 16) as u8
}

fn two_thirds(source: Plane<'_>, target: &mut PlaneMut<'_>, columns: &mut Vec<u16>) {
    columns.resize(source.width, 0);
    for y in 0..target.height {
        // A whole source row and half of the one between.
        let first = y / 2 * 3;
        let (near, far) = if y % 2 == 0 { (first, first + 1) } else { (first + 2, first + 1) };
        for (column, (near, far)) in columns.iter_mut().zip(source.row(near).iter().zip(source.row(far))) {
            *column = 2 * u16::from(*near) + u16::from(*far);
        }
        let (pairs, last) = target.row(y).as_chunks_mut();
        let (threes, rest) = columns.as_chunks();
        for (out, [left, middle, right]) in pairs.iter_mut().zip(threes) {
            *out = [ninth(2 * left + middle), ninth(2 * right + middle)];
        }
        if let (Some(out), [left, middle, ..]) = (last.first_mut(), rest) {
            *out = ninth(2 * left + middle);
        }
    }
}

fn two_fifths(source: Plane<'_>, target: &mut PlaneMut<'_>, columns: &mut Vec<u16>) {
    columns.resize(source.width, 0);
    // Two whole pixels and half of the one in the middle of five.
    let sum = |outer: u16, inner: u16, middle: u16| 2 * (outer + inner) + middle;
    // Divided by 25, rounded to nearest.
    let mean = |sum: u16| (((u32::from(sum) + 12) * 5243) >> 17) as u8;
    for y in 0..target.height {
        let first = y / 2 * 5;
        let lines = if y % 2 == 0 { [first, first + 1, first + 2] } else { [first + 4, first + 3, first + 2] };
        let [outer, inner, middle] = lines.map(|line| source.row(line).iter());
        for (column, ((outer, inner), middle)) in columns.iter_mut().zip(outer.zip(inner).zip(middle)) {
            *column = sum((*outer).into(), (*inner).into(), (*middle).into());
        }
        let (pairs, last) = target.row(y).as_chunks_mut();
        let (fives, rest) = columns.as_chunks();
        for (out, [a, b, middle, c, d]) in pairs.iter_mut().zip(fives) {
            *out = [mean(sum(*a, *b, *middle)), mean(sum(*d, *c, *middle))];
        }
        if let (Some(out), [a, b, middle, ..]) = (last.first_mut(), rest) {
            *out = mean(sum(*a, *b, *middle));
        }
    }
}

fn double(source: Plane<'_>, target: &mut PlaneMut<'_>, columns: &mut Vec<u16>) {
    let last = source.height - 1;
    columns.resize(source.width + 2, 0);
    for y in 0..target.height {
        let near = y / 2;
        let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(last) };
        for (column, (near, far)) in columns[1..].iter_mut().zip(source.row(near).iter().zip(source.row(far))) {
            *column = 3 * u16::from(*near) + u16::from(*far);
        }
        columns[0] = columns[1];
        columns[source.width + 1] = columns[source.width];
        double_row(columns, target.row(y));
    }
}

/// Three parts of a column and one of its neighbour. `columns` has one more at either end.
fn double_row(columns: &[u16], out: &mut [u8]) {
    let mix = |near: u16, far: u16| (3 * near + far + 8) >> 4;
    let (before, here, after) = (columns, &columns[1..], &columns[2..]);
    let (pairs, last) = out.as_chunks_mut();
    for (out, ((before, here), after)) in pairs.iter_mut().zip(before.iter().zip(here).zip(after)) {
        *out = (mix(*here, *before) | mix(*here, *after) << 8).to_le_bytes();
    }
    if let Some(out) = last.first_mut() {
        let end = here.len() - 2;
        *out = mix(here[end], before[end]) as u8;
    }
}

/// Mirrors `source` left to right if `flip`, then turns it clockwise `quarter_turns` times into the whole of `target`
/// (of the turned size; nothing happens otherwise).
pub fn turn(source: Plane<'_>, target: &mut PlaneMut<'_>, quarter_turns: u8, flip: bool) {
    let swapped = quarter_turns % 2 == 1;
    let expected = if swapped { (source.height, source.width) } else { (source.width, source.height) };
    if (target.width, target.height) != expected {
        return;
    }
    // Where the target's columns and rows run in the source: backwards or not.
    match (quarter_turns % 4, flip) {
        (0, _) => flip_rows(source, target, flip, false),
        (2, _) => flip_rows(source, target, !flip, true),
        (1, _) => transpose(source, target, true, flip),
        (_, _) => transpose(source, target, false, !flip),
    }
}

fn pick(index: usize, length: usize, back: bool) -> usize {
    if back { length - 1 - index } else { index }
}

fn flip_rows(source: Plane<'_>, target: &mut PlaneMut<'_>, across_back: bool, down_back: bool) {
    for y in 0..target.height {
        let row = source.row(pick(y, target.height, down_back));
        if across_back {
            target.row(y).iter_mut().zip(row.iter().rev()).for_each(|(out, &value)| *out = value);
        } else {
            target.row(y).copy_from_slice(row);
        }
    }
}

/// The target's columns are the source's rows and the other way round.
fn transpose(source: Plane<'_>, target: &mut PlaneMut<'_>, across_back: bool, down_back: bool) {
    let (columns, rows) = (target.width, target.height);
    let (whole_columns, whole_rows) = (columns & !7, rows & !7);
    for y in (0..whole_rows).step_by(8) {
        // The eight source columns that become these rows, wherever they begin.
        let start = if down_back { rows - 8 - y } else { y };
        for x in (0..whole_columns).step_by(8) {
            let mut lines = [0u64; 8];
            for (at, line) in lines.iter_mut().enumerate() {
                let eight = &source.row(pick(x + at, columns, across_back))[start..];
                *line = eight.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
            }
            for (at, line) in transpose_8(lines).into_iter().enumerate() {
                let y = y + if down_back { 7 - at } else { at };
                target.row(y)[x..x + 8].copy_from_slice(&line.to_le_bytes());
            }
        }
    }
    for y in 0..rows {
        let line = pick(y, rows, down_back);
        let first = if y < whole_rows { whole_columns } else { 0 };
        for (x, out) in target.row(y).iter_mut().enumerate().skip(first) {
            *out = source.row(pick(x, columns, across_back))[line];
        }
    }
}

/// Eight rows of eight bytes become eight columns: swaps ever smaller squares across the diagonal.
fn transpose_8(mut rows: [u64; 8]) -> [u64; 8] {
    for (distance, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        let shift = 8 * distance as u32;
        for at in (0..8).filter(|at| at & distance == 0) {
            let (upper, lower) = (rows[at], rows[at + distance]);
            rows[at] = upper & mask | (lower & mask) << shift;
            rows[at + distance] = (upper >> shift) & mask | lower & !mask;
        }
    }
    rows
}

#[cfg(test)]
mod tests;
