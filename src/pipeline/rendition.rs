//! One encode of a canvas: at the canvas's rate or half of it, or a keyframe every few seconds; its bitrate follows what it is told.
//! Where nothing changes it is one picture a second.

use super::Outlet;
use super::keyframes::{Coalescer, Need};
use crate::ids::RenditionId;
use crate::ledger::Account;
use crate::media::VideoOut;
use crate::room::plan::RenditionKey;
use metrics::Counter;
use mixdown_codecs::{EncodeError, EncoderConfig, I420Frame, Intra, Size, VideoEncoder};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two still pictures.
const STILL_EVERY: Duration = Duration::from_secs(4);
/// Ticks without a change after which a picture has reached its quality …
const SETTLED: u32 = 30;
/// … and how long it is then good for. Receivers ask for another after a second.
const REST: Duration = Duration::from_millis(900);
/// How long the first picture waits for senders' keyframes.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two that somebody waits for.
const STILL_SPACING: Duration = Duration::from_secs(1);

/// The tick that is encoded.
pub struct Tick {
    pub n: u64,
    /// Of the canvas.
    pub fps: u32,
    /// Ticks before it since which the canvas is the same.
    pub unchanged: u32,
    pub now: Instant,
    pub rtp_time: u64,
    pub time_ms: u64,
    pub wallclock: Instant,
}

pub struct Rendition {
    pub id: RenditionId,
    /// In the tick that is being encoded.
    pub due: bool,
    key: RenditionKey,
    encoder: Option<Box<dyn VideoEncoder>>,
    keyframes: Coalescer,
    /// The network did not take the picture before: whatever refers to it must not follow.
    broken: bool,
    bitrate_bps: u32,
    /// Every second picture must be dispensable; and whether the encoder makes it so.
    layered: bool,
    has_layers: bool,
    still: Option<Instant>,
    /// When the last picture was made, and ticks since it was opened.
    last: Option<Instant>,
    age: u32,
    /// Of the rendition's rate, the beat that a tick was encoded for.
    beat: Option<u64>,
    /// The first picture waits until the canvas is complete, but not for ever; and since when it has.
    patient: bool,
    waits: Option<Instant>,
    pub account: Arc<Account>,
    counters: Counters,
}

impl Rendition {
    pub fn new(id: RenditionId, key: RenditionKey, patient: bool, account: Arc<Account>) -> Self {
        let bitrate_bps = key.bitrate_bps;
        let (keyframes, layered, has_layers) = (Coalescer::default(), false, false);
        Self {
            id,
            due: false,
            key,
            encoder: None,
            keyframes,
            broken: false,
            bitrate_bps,
            layered,
            has_layers,
            still: None,
            last: None,
            age: 0,
            beat: None,
            patient,
            waits: None,
            account,
            counters: Counters::new(),
        }
    }

    pub fn size(&self) -> Size {
        self.key.size
    }

    pub fn request_keyframe(&mut self, need: Need) {
        self.keyframes.request(need);
    }

    /// Layers come with a keyframe at once. They go with the next one that is needed anyway.
    pub fn set_layered(&mut self, layered: bool) {
        self.layered = layered;
        if layered && !self.has_layers {
            self.encoder = None;
        }
    }

    /// A new rate, without a keyframe.
    pub fn set_bitrate(&mut self, bitrate_bps: u32) {
        self.bitrate_bps = bitrate_bps;
        let fps = self.key.encoder().fps;
        if let Some(encoder) = &mut self.encoder
            && encoder.set_rate(bitrate_bps, fps).is_err()
        {
            self.counters.errors.increment(1);
            self.encoder = None;
        }
    }

    /// Whether the first picture waits no longer.
    pub fn is_ready(&mut self, complete: bool, now: Instant) -> bool {
        let since = *self.waits.get_or_insert(now);
        self.patient &= !complete && now < since + PATIENCE;
        !self.patient
    }

    /// Whether this tick is encoded.
    pub fn is_due(&mut self, tick: &Tick) -> bool {
        if self.key.fps == 0 {
            let wait = if self.keyframes.is_wanted() { STILL_SPACING } else { STILL_EVERY };
            return self.still.is_none_or(|still| tick.now.saturating_duration_since(still) >= wait);
        }
        // Ticks may be left out: the first one of a beat counts.
        let beat = |n: u64| n * u64::from(self.key.fps) / u64::from(tick.fps.max(1));
        let before = self.beat.replace(beat(tick.n)).or_else(|| Some(beat(tick.n.checked_sub(1)?)));
        let on_beat = self.key.fps >= tick.fps || before != Some(beat(tick.n));
        self.age = self.age.saturating_add(1);
        let settled = tick.unchanged.min(self.age) > SETTLED;
        let rests = settled && self.last.is_some_and(|last| tick.now.saturating_duration_since(last) < REST);
        on_beat && (!rests || self.keyframes.next(tick.now) == Intra::Force)
    }

    /// Encodes a picture of this rendition's size.
    pub fn encode(&mut self, picture: &I420Frame, tick: &Tick, outlet: &dyn Outlet) {
        if picture.size() != self.key.size {
            return; // the canvas has just changed its size; this rendition is about to be closed
        }
        let intra = if self.key.fps == 0 { Intra::Force } else { self.keyframes.next(tick.now) };
        if self.broken && intra != Intra::Force {
            return;
        }
        match self.encode_picture(picture, tick, intra) {
            Ok(Some(picture)) => {
                self.broken = !outlet.video(self.id, Arc::new(picture));
                if self.broken {
                    self.keyframes.request(Need::Joins);
                }
            }
            Ok(None) => self.counters.skips.increment(1),
            Err(error) => {
                self.counters.errors.increment(1);
                tracing::warn!(rendition = %self.id, %error, "encoder rebuilt");
                self.encoder = None;
            }
        }
    }

    fn encode_picture(&mut self, picture: &I420Frame, tick: &Tick, intra: Intra) -> Result<Option<VideoOut>, EncodeError> {
        if intra == Intra::Force && self.has_layers != self.layered {
            self.encoder = None;
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => {
                self.has_layers = self.layered;
                let config = EncoderConfig { bitrate_bps: self.bitrate_bps, layered: self.layered, ..self.key.encoder() };
                let built = mixdown_codecs::video::encoder(self.key.codec, config);
                self.encoder.insert(built.ok_or(EncodeError::Settings("codec not in this build"))??)
            }
        };
        let coded = encoder.encode(picture, tick.time_ms, intra)?;
        let Some(coded) = coded else { return Ok(None) };
        self.last = Some(tick.now);
        self.account.picture(coded.data.len());
        self.counters.encodes.increment(1);
        self.counters.bytes.increment(coded.data.len() as u64);
        self.keyframes.sent(coded.data.len(), coded.keyframe, tick.now);
        if coded.keyframe {
            self.still = Some(tick.now);
            self.counters.keyframes.increment(1);
            self.counters.keyframe_bytes.increment(coded.data.len() as u64);
        }
        let (codec, rtp_time, wallclock) = (self.key.codec, tick.rtp_time, tick.wallclock);
        Ok(Some(VideoOut { codec, data: coded.data, keyframe: coded.keyframe, layer: coded.layer, rtp_time, wallclock }))
    }
}

/// Handles, looked up once.
struct Counters {
    encodes: Counter,
    bytes: Counter,
    keyframes: Counter,
    keyframe_bytes: Counter,
    skips: Counter,
    errors: Counter,
}

impl Counters {
    fn new() -> Self {
        Self {
            encodes: metrics::counter!("mixdown_encodes_total", "kind" => "video"),
            bytes: metrics::counter!("mixdown_video_bytes_total"),
            keyframes: metrics::counter!("mixdown_keyframes_total"),
            keyframe_bytes: metrics::counter!("mixdown_keyframe_bytes_total"),
            skips: metrics::counter!("mixdown_encoder_skips_total"),
            errors: metrics::counter!("mixdown_encode_errors_total"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ParticipantId, TrackId};
    use crate::media::AudioOut;
    use mixdown_codecs::{FramePool, VideoCodec, gate, video};
    use std::sync::Mutex;

    const SIZE: Size = Size::new(320, 180);

    #[derive(Default)]
    struct Taken(Mutex<Vec<Arc<VideoOut>>>);

    impl Outlet for Taken {
        fn video(&self, _: RenditionId, picture: Arc<VideoOut>) -> bool {
            self.0.lock().unwrap().push(picture);
            true
        }

        fn audio(&self, _: &Arc<[ParticipantId]>, _: Arc<AudioOut>) {}

        fn request_keyframe(&self, _: TrackId) {}
    }

    /// Stripes that drift, so that every picture is new.
    fn film(n: u64) -> I420Frame {
        let mut frame = I420Frame::black(SIZE);
        for (y, row) in (0u64..).zip(frame.planes_mut().y.chunks_exact_mut(SIZE.width as usize)) {
            for (x, value) in (0u64..).zip(row) {
                *value = (60 + ((x + n) / 7 % 2 + y / 5 % 2) * 30 + (x * y / 64 + n) % 40) as u8;
            }
        }
        frame
    }

    struct Run {
        rendition: Rendition,
        taken: Taken,
        start: Instant,
    }

    impl Run {
        fn new(codec: VideoCodec, fps: u32) -> Self {
            let key = RenditionKey { codec, size: SIZE, fps, bitrate_bps: 400_000, screen: false, apart: false };
            Self {
                rendition: Rendition::new(RenditionId(1), key, false, Arc::default()),
                taken: Taken::default(),
                start: crate::runtime::clock::now(),
            }
        }

        /// Ticks `n` of 30 a second.
        fn tick(&mut self, n: u64) {
            let now = self.start + Duration::from_millis(n * 1000 / 30);
            let (rtp_time, time_ms) = (n * 3000, n * 1000 / 30);
            let tick = Tick { n, fps: 30, unchanged: 0, now, rtp_time, time_ms, wallclock: now };
            if self.rendition.is_due(&tick) {
                self.rendition.encode(&film(n), &tick, &self.taken);
            }
        }

        fn pictures(&self) -> Vec<Arc<VideoOut>> {
            self.taken.0.lock().unwrap().clone()
        }

        /// How near the pictures come to the film, dB on average.
        fn psnr(&self, codec: VideoCodec) -> f64 {
            let mut decoder = video::decoder(codec, gate::Limits::default()).unwrap().unwrap();
            let mut pool = FramePool::default();
            let pictures = self.pictures();
            let one = |picture: &Arc<VideoOut>| {
                let frame = decoder.decode(&picture.data, &mut pool).unwrap().unwrap();
                let truth = film(picture.rtp_time / 3000);
                let error: u64 = frame.planes().y.iter().zip(truth.planes().y).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
                10.0 * (255.0f64.powi(2) * SIZE.pixels() as f64 / error.max(1) as f64).log10()
            };
            pictures.iter().map(one).sum::<f64>() / pictures.len() as f64
        }
    }

    /// VP8 pays more for a keyframe on pictures as busy as these.
    #[test]
    fn a_request_per_second_for_lost_pictures_costs_the_others_less_than_a_fifth_of_a_decibel() {
        for (codec, most) in [(VideoCodec::H264, 0.2), (VideoCodec::Vp8, 2.5)] {
            let [calm, stormy] = [false, true].map(|storm| {
                let mut run = Run::new(codec, 30);
                for n in 0..300 {
                    if storm && n % 30 == 15 {
                        run.rendition.request_keyframe(Need::Repairs);
                    }
                    run.tick(n);
                }
                run
            });
            let keyframes = |run: &Run| run.pictures().iter().filter(|picture| picture.keyframe).count();
            let (before, after) = (calm.psnr(codec), stormy.psnr(codec));
            println!("{}: {before:.2} dB, {after:.2} with {} keyframes", codec.name(), keyframes(&stormy));
            assert!(keyframes(&calm) == 1 && keyframes(&stormy) >= 3, "{codec:?}");
            assert!(before - after < most, "{codec:?}: {before:.2} dB without, {after:.2} with the storm");
        }
    }

    #[test]
    fn half_the_rate_is_every_second_tick_and_a_still_comes_every_few_seconds_as_a_keyframe() {
        let mut run = Run::new(VideoCodec::Vp8, 15);
        (0..60).for_each(|n| run.tick(n));
        let pictures = run.pictures();
        assert!((28..=30).contains(&pictures.len()) && pictures.iter().all(|picture| picture.rtp_time.is_multiple_of(6000)));
        let mut run = Run::new(VideoCodec::Vp8, 15);
        (0..60).filter(|n| n % 3 == 0).for_each(|n| run.tick(n));
        assert_eq!(run.pictures().len(), 20, "a view that is ticked ten times a second has ten pictures, not five");
        let mut run = Run::new(VideoCodec::Vp8, 0);
        (0..300).for_each(|n| run.tick(n));
        let times: Vec<u64> = run.pictures().iter().map(|picture| picture.rtp_time / 90_000).collect();
        assert!(times == [0, 4, 8] && run.pictures().iter().all(|picture| picture.keyframe), "{times:?}");
        run.rendition.request_keyframe(Need::Joins);
        (300..330).for_each(|n| run.tick(n));
        assert_eq!(run.pictures().len(), 4, "who comes need not wait for the next one");
    }

    #[test]
    fn layers_and_rates_change_on_the_running_encode() {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let mut run = Run::new(codec, 30);
            (0..30).for_each(|n| run.tick(n));
            run.rendition.set_layered(true);
            (30..60).for_each(|n| run.tick(n));
            run.rendition.set_bitrate(100_000);
            (60..120).for_each(|n| run.tick(n));
            run.rendition.set_layered(false);
            (120..150).for_each(|n| run.tick(n));
            let pictures = run.pictures();
            let upper = |from: u64, to: u64| {
                pictures.iter().filter(|picture| (from..to).contains(&(picture.rtp_time / 3000)) && picture.layer > 0).count()
            };
            assert!(upper(0, 30) == 0 && upper(30, 60) >= 13 && upper(120, 150) > 0, "{codec:?}");
            assert_eq!(pictures.iter().filter(|picture| picture.keyframe).count(), 2, "{codec:?}: layers go with a keyframe that is due");
            let bytes = |from: u64, to: u64| -> usize {
                let within = |picture: &&Arc<VideoOut>| (from..to).contains(&(picture.rtp_time / 3000));
                pictures.iter().filter(within).map(|picture| picture.data.len()).sum()
            };
            assert!(bytes(90, 120) * 2 < bytes(30, 60), "{codec:?}");
            assert!(run.psnr(codec) > 20.0);
        }
    }
}
