//! What the codecs alone would cost on this machine: the senders' pictures decoded once, the composite
//! encoded once, on one thread, nothing else. The server is compared with this.

use super::clip::{Clip, FPS};
use mixdown_codecs::{EncoderConfig, FramePool, I420Frame, Intra, VideoCodec, gate::Limits, video};
use std::{sync::Arc, time::Duration};

const COMPOSITE_BPS: u32 = 1_500_000;

/// Milliseconds of processor time per second of the conference; `None`: there is nothing to measure with.
pub fn cost(clips: &[Arc<Clip>], composites: &[Arc<I420Frame>], codec: VideoCodec) -> Option<f64> {
    let decoding = clips.iter().map(|clip| decode(clip, codec)).sum::<Option<f64>>()?;
    Some((decoding + encode(composites, codec)?) * f64::from(FPS))
}

/// Milliseconds per picture.
fn decode(clip: &Clip, codec: VideoCodec) -> Option<f64> {
    let (mut decoder, mut pool) = (video::decoder(codec, Limits::default())?.ok()?, FramePool::default());
    let units: Vec<_> = clip.pictures.iter().flatten().collect();
    let begin = thread_time()?;
    for (data, _) in &units {
        decoder.decode(data, &mut pool).ok()?;
    }
    Some((thread_time()? - begin).as_secs_f64() * 1000.0 / units.len().max(1) as f64)
}

/// Milliseconds per picture, back and forth over the samples so that motion stays natural.
fn encode(composites: &[Arc<I420Frame>], codec: VideoCodec) -> Option<f64> {
    let settings = EncoderConfig { size: composites.first()?.size(), fps: FPS, bitrate_bps: COMPOSITE_BPS, screen: false, layered: false };
    let mut encoder = video::encoder(codec, settings)?.ok()?;
    let (count, rounds) = (composites.len(), 6);
    let begin = thread_time()?;
    for n in 0..rounds * count {
        let at = if n / count % 2 == 0 { n % count } else { count - 1 - n % count };
        let picture = composites.get(at).filter(|picture| picture.size() == settings.size)?;
        encoder.encode(picture, n as u64 * 1000 / u64::from(FPS), Intra::Auto).ok()?;
    }
    Some((thread_time()? - begin).as_secs_f64() * 1000.0 / (rounds * count) as f64)
}

/// Processor time of this thread as the kernel counts it.
fn thread_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
