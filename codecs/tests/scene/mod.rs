//! Moving pictures with a known look, and how near another picture comes to them.
#![allow(dead_code, reason = "every test program uses a part of this")]

use mixdown_codecs::{EncodedPicture, EncoderConfig, I420Frame, Intra, Size, VideoCodec, VideoEncoder, frame::PlanesMut, video};

/// Picture `n` of a film: a textured background that drifts, and three discs that circle over it.
pub fn picture(size: Size, n: u32) -> I420Frame {
    let mut frame = I420Frame::black(size);
    let (w, h) = (size.width as i32, size.height as i32);
    let n = n as i32;
    let discs: Vec<(i32, i32, i32)> = (0..3)
        .map(|k| {
            let angle = f64::from(n * (k + 2)) * 0.03 + f64::from(k);
            let (x, y) = (f64::from(w) * (0.5 + 0.3 * angle.cos()), f64::from(h) * (0.5 + 0.3 * angle.sin()));
            (x as i32, y as i32, w.min(h) / (5 + k))
        })
        .collect();
    let PlanesMut { y: luma, u, v, .. } = frame.planes_mut();
    for (y, row) in (0..).zip(luma.chunks_exact_mut(w as usize)) {
        for (x, value) in (0..).zip(row) {
            *value = (60 + texture(x, y, w, n)) as u8;
        }
    }
    u.fill(110);
    v.fill(150);
    let cw = size.chroma().width as i32;
    for (k, &(cx, cy, r)) in (0i32..3).zip(&discs).rev() {
        for y in (cy - r).max(0)..(cy + r).min(h) {
            for x in (cx - r).max(0)..(cx + r).min(w) {
                if (x - cx).pow(2) + (y - cy).pow(2) >= r * r {
                    continue;
                }
                luma[(y * w + x) as usize] = (110 + 40 * k + ((x ^ y) & 7)) as u8;
                let chroma = (y / 2 * cw + x / 2) as usize;
                (u[chroma], v[chroma]) = ((130 + 20 * k) as u8, (135 - 15 * k) as u8);
            }
        }
    }
    frame
}

fn texture(x: i32, y: i32, w: i32, n: i32) -> i32 {
    ((x + n) / 7 % 2 + (y / 5) % 2) * 9 + x * 60 / w
}

/// Peak signal-to-noise ratio of the luma planes in dB; 99 for equal ones.
pub fn psnr(a: &I420Frame, b: &I420Frame) -> f64 {
    assert_eq!(a.size(), b.size());
    let error: u64 = a.planes().y.iter().zip(b.planes().y).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    if error == 0 { 99.0 } else { 10.0 * (255.0f64.powi(2) * a.size().pixels() as f64 / error as f64).log10() }
}

pub fn config(size: Size, fps: u32, bitrate_bps: u32) -> EncoderConfig {
    EncoderConfig { size, fps, bitrate_bps, screen: false, layered: false }
}

pub fn encoder(codec: VideoCodec, config: EncoderConfig) -> Box<dyn VideoEncoder> {
    video::encoder(codec, config).expect("built in").expect("accepts the settings")
}

/// Encodes pictures `0..count`, the first as a keyframe; `None` where rate control skipped.
pub fn film(codec: VideoCodec, config: EncoderConfig, count: u32) -> Vec<Option<EncodedPicture>> {
    let mut encoder = encoder(codec, config);
    (0..count)
        .map(|n| {
            let intra = if n == 0 { Intra::Force } else { Intra::Auto };
            encoder.encode(&picture(config.size, n), u64::from(n * 1000 / config.fps), intra).expect("encodes")
        })
        .collect()
}

pub const CODECS: &[VideoCodec] = &[
    #[cfg(feature = "h264")]
    VideoCodec::H264,
    VideoCodec::Vp8,
];
