//! Colours: RGB to BT.601 limited-range YUV and back.

/// One colour as the planes hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Yuv {
    pub y: u8,
    pub u: u8,
    pub v: u8,
}

impl Yuv {
    /// From red, green, blue of full range (sRGB as browsers mean it).
    pub fn from_rgb([red, green, blue]: [u8; 3]) -> Self {
        let [red, green, blue] = [red, green, blue].map(f32::from);
        let [y, u, v] = coefficients(red, green, blue);
        // Each lies within 16..=240, rounding included.
        Self { y: (16.0 + y).round() as u8, u: (128.0 + u).round() as u8, v: (128.0 + v).round() as u8 }
    }

    /// Red, green, blue of full range; what no colour has is brought to the nearest.
    pub fn to_rgb(self) -> [u8; 3] {
        let (y, u, v) = (1.164_384 * (f32::from(self.y) - 16.0), f32::from(self.u) - 128.0, f32::from(self.v) - 128.0);
        [y + 1.596_027 * v, y - 0.391_762 * u - 0.812_968 * v, y + 2.017_232 * u].map(|part| (part + 0.5) as u8)
    }
}

/// Y, U, V without their offsets (16, 128, 128), for RGB from 0 to 255. Linear: premultiplied colours go through too.
pub(super) fn coefficients(red: f32, green: f32, blue: f32) -> [f32; 3] {
    [
        0.256_788 * red + 0.504_129 * green + 0.097_906 * blue,
        -0.148_223 * red - 0.290_993 * green + 0.439_216 * blue,
        0.439_216 * red - 0.367_788 * green - 0.071_427 * blue,
    ]
}

/// A little nearer to the middle than `background`: what tiles without a picture and the bars beside one are filled with.
pub(super) fn tile_background(background: [u8; 3]) -> [u8; 3] {
    let bright = background.iter().map(|&part| u32::from(part)).sum::<u32>() > 3 * 128;
    background.map(|part| if bright { part - part / 12 } else { part + (255 - part) / 16 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_white_and_the_primaries_have_their_bt601_values() {
        let yuv = |rgb| {
            let Yuv { y, u, v } = Yuv::from_rgb(rgb);
            [y, u, v]
        };
        assert_eq!(yuv([0, 0, 0]), [16, 128, 128]);
        assert_eq!(yuv([255, 255, 255]), [235, 128, 128]);
        assert_eq!(yuv([255, 0, 0]), [81, 90, 240]);
        assert_eq!(yuv([0, 255, 0]), [145, 54, 34]);
        assert_eq!(yuv([0, 0, 255]), [41, 240, 110]);
    }

    #[test]
    fn a_colour_comes_back_as_it_was_and_what_is_none_as_the_nearest() {
        for rgb in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 30, 40], [17, 99, 180]] {
            let back = Yuv::from_rgb(rgb).to_rgb();
            assert!(rgb.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 2), "{rgb:?} {back:?}");
        }
        assert_eq!(Yuv { y: 0, u: 128, v: 128 }.to_rgb(), [0; 3]);
        assert_eq!(Yuv { y: 255, u: 128, v: 128 }.to_rgb(), [255; 3]);
    }
}
