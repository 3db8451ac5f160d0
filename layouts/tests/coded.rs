//! What a canvas shows, as who decodes it sees it.
#![allow(clippy::unwrap_used, reason = "a test or bench may fail loudly")]

use mixdown_codecs::{EncoderConfig, FramePool, I420Frame, Intra, Size, VideoCodec, gate, video};
use mixdown_layouts::draw::{Canvas, Fonts, Picture, Pictures};
use mixdown_layouts::layout::Kind;
use mixdown_layouts::{Cast, Layout, Person, PersonId, Source, SourceId};
use std::sync::Arc;

const SIZE: Size = Size::new(640, 360);
const PICTURES: u64 = 75;

/// The one camera's picture.
struct Camera(Picture);

impl Pictures for Camera {
    fn latest(&self, _: SourceId) -> Option<Picture> {
        Some(self.0.clone())
    }
}

/// People who sit and sway before a wall of this luma that has light from the side.
fn wall(luma: u8, n: u64) -> I420Frame {
    let mut frame = I420Frame::black(SIZE);
    let (w, h) = (SIZE.width as usize, SIZE.height as usize);
    let planes = frame.planes_mut();
    for (at, out) in planes.y.iter_mut().enumerate() {
        *out = luma + (at % w * 20 / w + at / w * 15 / h) as u8;
    }
    for (at, (u, v)) in planes.u.iter_mut().zip(&mut *planes.v).enumerate() {
        (*u, *v) = ((126 + at % (w / 2) * 20 / w) as u8, (114 - at / (w / 2) * 16 / h) as u8);
    }
    for head in 0..4 {
        let sway = |speed: f64, by: f64| ((n as f64 * speed + f64::from(head)).sin() * by) as i32;
        for y in -60..60_i32 {
            for x in (-45..45_i32).filter(|x| x * x * 16 / 9 + y * y < 60 * 60) {
                let at = (200 + y + sway(0.17, 4.0)) as usize * w + (100 + head * 145 + x + sway(0.11, 6.0)) as usize;
                planes.y[at] = (60 + (x * y / 10 + x * 6) % 70).clamp(20, 220) as u8;
            }
        }
    }
    frame
}

/// The worst of luma and colour by which the last of the pictures is off along the edge of the tile, where there was a border for a while.
fn trace(codec: VideoCodec, luma: u8) -> Option<[u8; 3]> {
    let config = EncoderConfig { size: SIZE, fps: 30, bitrate_bps: 900_000, screen: false, layered: false };
    let (mut encoder, mut decoder) = (video::encoder(codec, config)?.unwrap(), video::decoder(codec, gate::Limits::default())?.unwrap());
    let (mut pool, mut last) = (FramePool::default(), None);
    let mut cast =
        Cast { people: vec![Person { camera: Some(Source { id: SourceId(1), size: Some(SIZE) }), ..Person::plain(1) }], ..Cast::default() };
    let layout = Layout { kind: Kind::Grid, labels: false, ..Layout::default() };
    let mut canvas = Canvas::with_fonts(SIZE, Fonts::bundled());
    for n in 0..PICTURES {
        cast.active_speaker = (20..50).contains(&n).then_some(PersonId(1));
        let frame = Arc::new(wall(luma, n));
        let camera = Camera(Picture { frame, sequence: n, quarter_turns: 0, flip: false, scaled: None });
        canvas.draw(&layout.arrange(&cast, SIZE, [0x10, 0x10, 0x14]), &camera);
        let coded = encoder.encode(canvas.frame(), n * 100 / 3, Intra::Auto).unwrap();
        last = coded.and_then(|coded| decoder.decode(&coded.data, &mut pool).unwrap()).or(last);
    }
    let (seen, drawn) = (last.unwrap(), canvas.frame());
    let (seen, drawn) = (seen.planes(), drawn.planes());
    let off = |seen: &[u8], drawn: &[u8], stride: usize, height: usize| {
        let edge = |at: &usize| at % stride < 8 || at % stride >= stride - 8 || at / stride < 8 || at / stride >= height - 8;
        (0..stride * height).filter(edge).map(|at| seen[at].abs_diff(drawn[at])).max().unwrap()
    };
    let (w, h) = (SIZE.width as usize, SIZE.height as usize);
    assert_eq!((seen.y_stride, drawn.y_stride, seen.uv_stride), (w, w, w / 2));
    Some([off(seen.y, drawn.y, w, h), off(seen.u, drawn.u, w / 2, h / 2), off(seen.v, drawn.v, w / 2, h / 2)])
}

#[test]
fn a_border_that_is_gone_leaves_no_trace_on_any_wall() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        for luma in (20..210).step_by(10) {
            let Some(off) = trace(codec, luma) else {
                println!("skipped: this build has no {}", codec.name());
                break;
            };
            println!("{} on a wall of {luma}: {off:?}", codec.name());
            assert!(off.iter().all(|off| *off <= 12), "{codec:?} on a wall of {luma}: {off:?}");
        }
    }
}
