//! What a room shape costs on this machine: a few pictures are decoded, composed and encoded once, and everything else is
//! arithmetic. An estimate, not a promise: real pictures cost between half and twice as much as these.

use mixdown_codecs::{EncoderConfig, FramePool, I420Frame, Intra, Size, VideoCodec, gate, video};
use mixdown_layouts::draw::{Canvas, Fonts, Picture, Pictures};
use mixdown_layouts::{Cast, Layout, Person, Source, SourceId};
use std::sync::Arc;
use std::time::Duration;

/// Pictures per stage: about 100 ms of work in all.
const PICTURES: u32 = 16;
const SIZE: Size = Size::new(640, 360);
/// Share of the cores that may be planned with; the rest is for what nobody foresees.
const USABLE: f64 = 0.8;

/// What work costs between two sleeps, of a canvas of the usual size, over what it costs here, without a pause and on a small one: as measured.
const DECODE_IN_SERVICE: f64 = 1.15;
const COMPOSE_IN_SERVICE: f64 = 3.0;
const ENCODE_IN_SERVICE: f64 = 1.5;
/// Milliseconds of CPU per second, as measured: threads that wake up for whatever comes, however little it is; …
const AWAKE_MS: f64 = 30.0;
/// … receiving one sender's packets, and sending one subscriber's; …
const SENDER_MS: f64 = 1.0;
const SUBSCRIBER_MS: f64 = 2.5;
/// … one mix and its encode; what one who is heard adds to it, and a mix of their own, which those who only send do not have: a third of it.
const MIX_MS: f64 = 7.5;
const AUDIBLE_MS: f64 = 4.0 + MIX_MS / 3.0;
/// So many talk at once, as a rule.
const AUDIBLE: u32 = 3;
const SOUND_BPS: f64 = 48_000.0;
/// Bytes per sender and subscriber besides pictures: connection, jitter buffer, queues.
const CONNECTION_BYTES: f64 = 1_500_000.0;
/// Pictures that a decoder, a canvas and an encoder hold on to.
const PICTURES_HELD: f64 = 8.0;

/// What one pixel costs in each stage, in nanoseconds of one core.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    pub decode: f64,
    /// Of the canvas, labels and scaling included.
    pub compose: f64,
    pub encode: f64,
    pub cores: usize,
}

/// A room, as far as its cost is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    pub senders: u32,
    pub sender_size: Size,
    /// Everybody who receives, senders included who do.
    pub viewers: u32,
    pub views: u32,
    /// Of each view.
    pub renditions: u32,
    pub canvas: Size,
    pub fps: u32,
    /// Of a 1280×720 picture at 30 fps.
    pub bitrate_bps: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quote {
    /// Milliseconds of one core per second.
    pub cpu_ms_per_s: f64,
    pub memory_bytes: u64,
    pub ingress_bps: u64,
    pub egress_bps: u64,
    /// Whether all cores of this machine together can do it, and nothing else.
    pub fits: bool,
}

impl Costs {
    /// Measures this machine. `spent` reads the processor time of the calling thread, so that nothing else that runs counts; takes about a
    /// tenth of a second.
    pub fn measure(spent: impl Fn() -> Duration, cores: usize) -> Self {
        let pixels = f64::from(SIZE.width) * f64::from(SIZE.height) * f64::from(PICTURES);
        let timed = |work: &mut dyn FnMut()| {
            let start = spent();
            work();
            // A clock that stands still makes nothing free.
            (spent().saturating_sub(start).as_nanos() as f64 / pixels).max(0.1)
        };
        let frames: Vec<I420Frame> = (0..PICTURES).map(moving).collect();
        let mut units = Vec::new();
        let encode = timed(&mut || units = encoded(&frames));
        let decode = timed(&mut || decoded(&units));
        let mut canvas = Canvas::with_fonts(SIZE, Fonts::bundled());
        let shared: Vec<Arc<I420Frame>> = frames.iter().map(|frame| Arc::new(frame.clone())).collect();
        let compose = timed(&mut || composed(&mut canvas, &shared));
        Self { decode, compose, encode, cores }
    }

    pub fn quote(&self, shape: &Shape) -> Quote {
        let pixels = |size: Size| f64::from(size.width) * f64::from(size.height);
        let (fps, count) = (f64::from(shape.fps), |n: u32| f64::from(n));
        let per_picture = |nanoseconds: f64, size: Size| nanoseconds * pixels(size) * fps / 1e6;
        let encodes = count(shape.views) * count(shape.renditions);
        let awake = if shape.senders + shape.viewers > 0 { AWAKE_MS + MIX_MS } else { 0.0 };
        let cpu_ms_per_s = awake
            + count(shape.senders.min(AUDIBLE)) * AUDIBLE_MS
            + count(shape.senders) * (per_picture(self.decode * DECODE_IN_SERVICE, shape.sender_size) + SENDER_MS)
            + count(shape.views) * per_picture(self.compose * COMPOSE_IN_SERVICE, shape.canvas)
            + encodes * per_picture(self.encode * ENCODE_IN_SERVICE, shape.canvas)
            + count(shape.viewers) * SUBSCRIBER_MS;
        let held = PICTURES_HELD * 1.5;
        let memory = count(shape.senders) * (held * pixels(shape.sender_size) + CONNECTION_BYTES)
            + (count(shape.views) + encodes) * held * pixels(shape.canvas)
            + count(shape.viewers) * CONNECTION_BYTES;
        let rate =
            |size: Size| f64::from(shape.bitrate_bps) * (pixels(size) / (1280.0 * 720.0)).powf(0.75) * (fps / 30.0).sqrt() + SOUND_BPS;
        Quote {
            cpu_ms_per_s: (cpu_ms_per_s * 10.0).round() / 10.0,
            memory_bytes: memory as u64,
            ingress_bps: (count(shape.senders) * rate(shape.sender_size)) as u64,
            egress_bps: (count(shape.viewers) * rate(shape.canvas)) as u64,
            fits: cpu_ms_per_s <= self.cores as f64 * 1000.0 * USABLE,
        }
    }
}

/// A picture with edges that move, as faces do.
fn moving(n: u32) -> I420Frame {
    let mut frame = I420Frame::black(SIZE);
    for (at, value) in frame.data_mut().iter_mut().enumerate() {
        let (x, y) = (at as u32 % SIZE.width, at as u32 / SIZE.width);
        *value = (((x + n * 3) / 9 * 13) ^ ((y + n) / 7 * 29)) as u8;
    }
    frame
}

/// In the codec that this build has; nothing where it has none, which no build is.
fn codec() -> VideoCodec {
    if cfg!(feature = "h264") { VideoCodec::H264 } else { VideoCodec::Vp8 }
}

fn encoded(frames: &[I420Frame]) -> Vec<Arc<[u8]>> {
    let config = EncoderConfig { size: SIZE, fps: 30, bitrate_bps: 600_000, screen: false, layered: false };
    let Some(Ok(mut encoder)) = video::encoder(codec(), config) else { return Vec::new() };
    let coded = frames.iter().zip(0..).filter_map(|(frame, n)| encoder.encode(frame, n * 33, Intra::Auto).ok().flatten());
    coded.map(|picture| picture.data).collect()
}

fn decoded(units: &[Arc<[u8]>]) {
    let Some(Ok(mut decoder)) = video::decoder(codec(), gate::Limits::default()) else { return };
    let mut pool = FramePool::default();
    for unit in units {
        let _ = std::hint::black_box(decoder.decode(unit, &mut pool));
    }
}

/// Four people, each with a new picture every time.
fn composed(canvas: &mut Canvas, frames: &[Arc<I420Frame>]) {
    struct Now(Arc<I420Frame>, u64);
    impl Pictures for Now {
        fn latest(&self, _: SourceId) -> Option<Picture> {
            Some(Picture { frame: Arc::clone(&self.0), sequence: self.1, quarter_turns: 0, flip: false, scaled: None })
        }
    }
    let person = |n: u64| Person { camera: Some(Source { id: SourceId(n), size: Some(SIZE) }), ..Person::plain(n) };
    let scene = Layout::default().arrange(&Cast { people: (1..=4).map(person).collect(), ..Cast::default() }, SIZE, [0; 3]);
    for (frame, n) in frames.iter().zip(1..) {
        canvas.draw(&scene, &Now(Arc::clone(frame), n));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        senders: 4,
        sender_size: SIZE,
        viewers: 4,
        views: 1,
        renditions: 1,
        canvas: Size::new(1280, 720),
        fps: 30,
        bitrate_bps: 1_500_000,
    };
    const COSTS: Costs = Costs { decode: 1.4, compose: 1.0, encode: 3.6, cores: 2 };

    #[test]
    fn whatever_is_added_costs_more_and_a_viewer_the_least() {
        let base = COSTS.quote(&SHAPE);
        let more = |change: fn(&mut Shape)| {
            let mut shape = SHAPE;
            change(&mut shape);
            COSTS.quote(&shape).cpu_ms_per_s - base.cpu_ms_per_s
        };
        let (viewer, sender, rendition, view) =
            (more(|s| s.viewers += 1), more(|s| s.senders += 1), more(|s| s.renditions += 1), more(|s| s.views += 1));
        assert!(0.0 < viewer && viewer < sender && sender < rendition && rendition < view, "{viewer} {sender} {rendition} {view}");
        assert!(base.fits && !COSTS.quote(&Shape { views: 40, ..SHAPE }).fits);
        assert_eq!(base.egress_bps, 4 * 1_548_000);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let costs = Costs::measure(crate::runtime::clock::thread_cpu, 2);
        let sane = |cost: f64| (0.1..1000.0).contains(&cost);
        assert!(sane(costs.decode) && sane(costs.compose) && sane(costs.encode), "{costs:?}");
    }
}
