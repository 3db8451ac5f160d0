use super::*;
use proptest::prelude::*;

/// A plane of its own with some stride.
#[derive(Debug, Clone)]
struct Image {
    data: Vec<u8>,
    stride: usize,
    width: usize,
    height: usize,
}

impl Image {
    fn noise(width: usize, height: usize, padding: usize, seed: u64) -> Self {
        let stride = width + padding;
        let mut state = seed | 1;
        let data = (0..stride * height)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Extremes often: they are where rounding and overflow show.
                match state >> 62 {
                    0 => 255,
                    1 => 0,
                    _ => (state >> 40) as u8,
                }
            })
            .collect();
        Self { data, stride, width, height }
    }

    fn plane(&self) -> Plane<'_> {
        Plane::new(&self.data, self.stride, self.width, self.height)
    }

    fn plane_mut(&mut self) -> PlaneMut<'_> {
        PlaneMut::new(&mut self.data, self.stride, (0, 0, self.width, self.height))
    }

    fn at(&self, x: usize, y: usize) -> u32 {
        u32::from(self.data[y * self.stride + x])
    }
}

/// Weights of the source pixels along one axis for target pixel `at`: (index, weight) pairs, and their sum.
fn weights(ratio: Ratio, at: usize, source: usize) -> (Vec<(usize, u32)>, u32) {
    match ratio {
        Ratio::Copy => (vec![(at, 1)], 1),
        Ratio::Half => ((0..2).map(|tap| (2 * at + tap, 1)).collect(), 2),
        Ratio::Third => ((0..3).map(|tap| (3 * at + tap, 1)).collect(), 3),
        Ratio::Quarter => ((0..4).map(|tap| (4 * at + tap, 1)).collect(), 4),
        Ratio::TwoThirds if at.is_multiple_of(2) => (vec![(at / 2 * 3, 2), (at / 2 * 3 + 1, 1)], 3),
        Ratio::TwoThirds => (vec![(at / 2 * 3 + 2, 2), (at / 2 * 3 + 1, 1)], 3),
        Ratio::TwoFifths if at.is_multiple_of(2) => (vec![(at / 2 * 5, 2), (at / 2 * 5 + 1, 2), (at / 2 * 5 + 2, 1)], 5),
        Ratio::TwoFifths => (vec![(at / 2 * 5 + 2, 1), (at / 2 * 5 + 3, 2), (at / 2 * 5 + 4, 2)], 5),
        Ratio::Double if at.is_multiple_of(2) => (vec![(at / 2, 3), ((at / 2).saturating_sub(1), 1)], 4),
        Ratio::Double => (vec![(at / 2, 3), ((at / 2 + 1).min(source - 1), 1)], 4),
    }
}

fn reference(ratio: Ratio, source: &Image, x: usize, y: usize, (width, height): (usize, usize)) -> u32 {
    let (across, across_sum) = weights(ratio, x, ratio.source(width));
    let (down, down_sum) = weights(ratio, y, ratio.source(height));
    let sum: u32 = down.iter().flat_map(|&(y, b)| across.iter().map(move |&(x, a)| a * b * source.at(x, y))).sum();
    let whole = across_sum * down_sum;
    (sum + whole / 2) / whole
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_kernel_equals_the_reference_for_any_size_and_stride(
        ratio in prop::sample::select(Ratio::ALL.to_vec()),
        (width, height) in (1usize..150, 1usize..20),
        (more_width, more_height) in (0usize..4, 0usize..4),
        (source_padding, target_padding) in (0usize..9, 0usize..9),
        seed in any::<u64>(),
    ) {
        let source = Image::noise(ratio.source(width) + more_width, ratio.source(height) + more_height, source_padding, seed);
        let mut target = Image::noise(width, height, target_padding, !seed);
        let before = target.clone();
        ratio.scale(source.plane(), &mut target.plane_mut(), &mut Vec::new());
        for y in 0..height {
            for x in 0..target.stride {
                let expected = if x < width { reference(ratio, &source, x, y, (width, height)) } else { before.at(x, y) };
                prop_assert_eq!(target.at(x, y), expected, "{:?} at {},{} of {}x{}", ratio, x, y, width, height);
            }
        }
    }

    #[test]
    fn turning_equals_turning_pixel_by_pixel(
        (width, height) in (1usize..70, 1usize..70),
        turns in 0u8..8,
        flip in any::<bool>(),
        padding in 0usize..5,
        seed in any::<u64>(),
    ) {
        let source = Image::noise(width, height, padding, seed);
        let mut expected: Vec<Vec<u32>> = (0..height).map(|y| (0..width).map(|x| source.at(x, y)).collect()).collect();
        if flip {
            expected.iter_mut().for_each(|row| row.reverse());
        }
        for _ in 0..turns % 4 {
            let (rows, columns) = (expected.len(), expected[0].len());
            expected = (0..columns).map(|x| (0..rows).rev().map(|y| expected[y][x]).collect()).collect();
        }
        let mut target = Image::noise(expected[0].len(), expected.len(), padding, !seed);
        turn(source.plane(), &mut target.plane_mut(), turns, flip);
        for (y, row) in expected.iter().enumerate() {
            for (x, &value) in row.iter().enumerate() {
                prop_assert_eq!(target.at(x, y), value);
            }
        }
    }
}

#[test]
fn a_flat_plane_stays_flat_whatever_the_ratio() {
    for ratio in Ratio::ALL {
        for value in [0, 1, 127, 128, 254, 255] {
            let (width, height) = (ratio.source(37), ratio.source(5));
            let source = Image { data: vec![value; width * height], stride: width, width, height };
            let mut target = Image::noise(37, 5, 0, 9);
            ratio.scale(source.plane(), &mut target.plane_mut(), &mut Vec::new());
            assert!(target.data.iter().all(|&pixel| pixel == value), "{ratio:?} {value}");
        }
    }
}

#[test]
fn a_source_that_is_too_small_changes_nothing() {
    for ratio in Ratio::ALL {
        let source = Image::noise(ratio.source(16) - 1, ratio.source(8), 3, 1);
        let mut target = Image::noise(16, 8, 0, 2);
        let before = target.data.clone();
        ratio.scale(source.plane(), &mut target.plane_mut(), &mut Vec::new());
        assert_eq!(target.data, before);
    }
}
