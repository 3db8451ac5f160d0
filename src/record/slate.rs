//! What stands while a recording pauses and its time goes on: one coded keyframe that says so.

use super::manifest::Video;
use mixdown_codecs::{EncoderConfig, Intra, Size, VideoCodec, video};
use mixdown_layouts::draw::{Canvas, Picture, Pictures};
use mixdown_layouts::overlay::{self, Overlay};
use mixdown_layouts::{Cast, Layout, SourceId};
use std::sync::Arc;

const TEXT: &str = "Recording paused";
const BACKGROUND: [u8; 3] = [16, 16, 20];

/// Of the size and codec of the recording's first picture; `None`: it cannot be encoded, and the last picture stands.
pub fn draw(video: &Video) -> Option<Arc<[u8]>> {
    let codec = [VideoCodec::H264, VideoCodec::Vp8].into_iter().find(|codec| codec.name() == video.codec)?;
    let size = Size::new(video.width.into(), video.height.into()).even();
    let text = Overlay { kind: overlay::Kind::Text, text: Some(TEXT.to_owned()), ..Overlay::default() };
    let layout = Layout { overlays: vec![text], ..Layout::default() };
    let mut canvas = Canvas::new(size);
    canvas.draw(&layout.arrange(&Cast::default(), size, BACKGROUND), &Nothing);
    let config = EncoderConfig { size, fps: 30, bitrate_bps: 1_000_000, screen: false, layered: false };
    let coded = video::encoder(codec, config)?.ok()?.encode(canvas.frame(), 0, Intra::Force).ok()??;
    Some(coded.data)
}

struct Nothing;

impl Pictures for Nothing {
    fn latest(&self, _: SourceId) -> Option<Picture> {
        None
    }
}
