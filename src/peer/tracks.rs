//! The tracks that a peer sends: which stream belongs to which, which of them is forwarded, and when its sender is asked for a keyframe.

use super::keyframes::Requests;
use super::lips::Lips;
use super::session::Session;
use super::simulcast::{Selector, Verdict};
use super::stun;
use super::upstream::{self, Shown, Upstream};
use crate::ids::Source;
use crate::media::{AudioIn, Orientation, VideoIn};
use mixdown_codecs::{AudioCodec, VideoCodec, gate};
use std::time::{Duration, Instant, SystemTime};
use str0m::Rtc;
use str0m::bwe::Bitrate;
use str0m::format::Codec;
use str0m::media::{KeyframeRequestKind, MediaData, Mid, Rid};

/// SSRCs of one peer that are known at a time.
const MAX_SSRCS: usize = 32;
/// An SSRC that has been silent for this long makes room for another.
const SSRC_IDLE: Duration = Duration::from_secs(5);
/// Pictures that nobody has asked for within this time after the first one are seen nowhere.
const UNASKED: Duration = Duration::from_secs(5);

struct Track {
    mid: Mid,
    source: Source,
    layers: Vec<Rid>,
    selector: Option<Selector>,
    clock: Clock,
    requests: Requests,
    /// A picture of the forwarded stream was dropped here: the next one does not follow the one before.
    gap: bool,
    /// Lines of the largest tile, once somebody has said.
    height: Option<u32>,
    /// When the first picture came.
    since: Option<Instant>,
}

/// One time line over all layers: each may count from a start of its own.
#[derive(Default)]
struct Clock {
    offset: u64,
    last: Option<(u64, Instant)>,
}

impl Clock {
    /// RTP time of a picture at 90 kHz, always past the one before; `switch`: it is the first of another layer.
    fn unify(&mut self, rtp_time: u64, switch: bool, now: Instant) -> u64 {
        let Some((last, at)) = self.last else {
            self.last = Some((rtp_time, now));
            return rtp_time;
        };
        let mut time = rtp_time.wrapping_add(self.offset);
        if switch {
            let due = last + u64::try_from(now.saturating_duration_since(at).as_micros() * 9 / 100).unwrap_or(0);
            if time.abs_diff(due) > SAME_START {
                self.offset = due.wrapping_sub(rtp_time);
                time = due;
            }
            time = time.max(last + 1);
        }
        self.last = Some((time, now));
        time
    }
}

/// All tracks of one peer.
#[derive(Default)]
pub struct Tracks {
    tracks: Vec<Track>,
    ssrcs: Vec<Heard>,
    /// Payload types of sound, a bit each.
    sounds: u128,
    upstream: Upstream,
    /// Of the camera and its microphone, and of the screen and its sound.
    lips: [Lips; 2],
}

struct Heard {
    ssrc: u32,
    at: Instant,
    sound: bool,
}

/// Media that are missing for longer are not on their way.
const MOMENT: Duration = Duration::from_millis(200);
/// Layers whose times differ by less than this (1 s) count from the same start.
const SAME_START: u64 = 90_000;

/// What a depacketised unit became.
pub enum Unit {
    Video(VideoIn),
    Audio(AudioIn),
}

impl Tracks {
    pub fn new(rtc: &Rtc, session: &Session) -> Self {
        let mut tracks = Self::default();
        tracks.update(rtc, session);
        tracks
    }

    /// After a negotiation: tracks that still send keep their state, and one in the place of another is as large a tile as that was.
    pub fn update(&mut self, rtc: &Rtc, session: &Session) {
        let sounds = rtc.codec_config().params().iter().filter(|params| params.spec().codec.is_audio());
        self.sounds = sounds.fold(0, |sounds, params| sounds | 1 << (*params.pt() & 0x7f));
        let mut before = std::mem::take(&mut self.tracks);
        for (mid, source, layers) in session.sending(rtc) {
            let known = before.iter().position(|track| track.mid == mid && track.source == source && track.layers == layers);
            self.tracks.push(match known {
                Some(at) => before.swap_remove(at),
                None => {
                    let height = before.iter().find(|track| track.source == source).and_then(|track| track.height);
                    let mut selector = (layers.len() > 1).then(|| Selector::new(layers.len()));
                    if let (Some(selector), Some(height)) = (&mut selector, height) {
                        selector.want(height);
                    }
                    Track {
                        mid,
                        source,
                        layers,
                        selector,
                        clock: Clock::default(),
                        requests: Requests::default(),
                        gap: false,
                        height,
                        since: None,
                    }
                }
            });
        }
    }

    /// Whether media came a moment ago.
    pub fn come(&self, now: Instant) -> bool {
        self.ssrcs.iter().any(|heard| now < heard.at + MOMENT)
    }

    /// Whether any of them was of a picture.
    pub fn pictures_come(&self, now: Instant) -> bool {
        self.ssrcs.iter().any(|heard| !heard.sound && now < heard.at + MOMENT)
    }

    /// Whether an RTP or RTCP packet of this SSRC may reach the stack, which keeps state for every one.
    pub fn admit(&mut self, packet: &[u8], now: Instant) -> bool {
        let Some(ssrc) = packet.get(8..12).filter(|_| stun::is_media(packet)) else { return true };
        let ssrc = u32::from_be_bytes([ssrc[0], ssrc[1], ssrc[2], ssrc[3]]);
        let heard = Heard { ssrc, at: now, sound: self.sounds >> (packet[1] & 0x7f) & 1 == 1 };
        if let Some(entry) = self.ssrcs.iter_mut().find(|entry| entry.ssrc == ssrc) {
            *entry = heard;
            return true;
        }
        if self.ssrcs.len() < MAX_SSRCS {
            self.ssrcs.push(heard);
            return true;
        }
        match self.ssrcs.iter_mut().min_by_key(|entry| entry.at) {
            Some(entry) if now >= entry.at + SSRC_IDLE => {
                *entry = heard;
                true
            }
            _ => false,
        }
    }

    /// One depacketised unit. `None`: dropped, and counted.
    pub fn unit(&mut self, data: MediaData, limits: gate::Limits, now: Instant) -> Option<Unit> {
        let Some(track) = self.tracks.iter_mut().find(|track| track.mid == data.mid) else {
            return refuse("no_track");
        };
        let video = matches!(track.source, Source::Camera | Source::Screen);
        let (since, unasked) = (*track.since.get_or_insert(now), track.height.is_none());
        if video && (since == now || (unasked && now >= since + UNASKED)) {
            track.height = track.height.or((now >= since + UNASKED).then_some(0));
            self.bound(now);
        }
        let track = self.tracks.iter_mut().find(|track| track.mid == data.mid)?;
        let lips = &mut self.lips[usize::from(matches!(track.source, Source::Screen | Source::ScreenAudio))];
        match data.params.spec().codec {
            Codec::H264 if video => track.video(VideoCodec::H264, data, lips, limits, now).map(Unit::Video),
            Codec::Vp8 if video => track.video(VideoCodec::Vp8, data, lips, limits, now).map(Unit::Video),
            Codec::Opus if !video => Some(Unit::Audio(track.audio(AudioCodec::Opus, data, lips))),
            Codec::PCMU if !video => Some(Unit::Audio(track.audio(AudioCodec::Pcmu, data, lips))),
            Codec::PCMA if !video => Some(Unit::Audio(track.audio(AudioCodec::Pcma, data, lips))),
            _ => refuse("codec"),
        }
    }

    /// The stack dropped a unit of the m-line that it could not put together: it does not count that as a gap.
    pub fn damaged(&mut self, mid: Mid) {
        for track in self.tracks.iter_mut().filter(|track| track.mid == mid) {
            track.gap = true;
        }
    }

    pub fn request_keyframe(&mut self, source: Source, now: Instant) {
        for track in self.tracks.iter_mut().filter(|track| track.source == source) {
            track.requests.want(now);
        }
    }

    pub fn want(&mut self, source: Source, height: u32, now: Instant) {
        for track in self.tracks.iter_mut().filter(|track| track.source == source) {
            track.height = Some(height);
            let Some(selector) = &mut track.selector else { continue };
            selector.want(height);
            if selector.missing(now).is_some() {
                track.requests.want(now);
            }
        }
        self.bound(now);
    }

    /// How much the sender is asked for, as of now.
    fn bound(&mut self, now: Instant) {
        let pictures = self.tracks.iter().filter(|track| track.is_video() && track.since.is_some());
        let shown = pictures.map(|track| Shown { source: track.source, height: track.height, layered: track.selector.is_some() });
        let limit = upstream::limit(shown);
        self.upstream.limit(limit, now);
    }

    /// Sends one keyframe request that is due. True: the stack was touched.
    pub fn ask(&mut self, rtc: &mut Rtc, now: Instant) -> bool {
        for track in &mut self.tracks {
            if track.requests.poll(now) && track.ask(rtc, now) {
                return true;
            }
        }
        self.tell_limit(rtc, now)
    }

    /// Tells the sender how much is wanted of them, if that is due. True: the stack was touched.
    fn tell_limit(&mut self, rtc: &mut Rtc, now: Instant) -> bool {
        let Some(bps) = self.upstream.poll(now) else { return false };
        for track in self.tracks.iter().filter(|track| track.is_video()) {
            let mut api = rtc.direct_api();
            if let Some(stream) = api.stream_rx_by_mid(track.mid, track.layers.first().copied()) {
                stream.request_remb(Bitrate::bps(u64::from(bps)));
                return true;
            }
        }
        false
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.tracks.iter().filter_map(|track| track.requests.deadline()).chain(self.upstream.deadline()).min()
    }

    pub fn end(&mut self) {
        self.tracks.clear();
        self.upstream = Upstream::default();
    }
}

impl Track {
    fn is_video(&self) -> bool {
        matches!(self.source, Source::Camera | Source::Screen)
    }

    fn video(&mut self, codec: VideoCodec, data: MediaData, lips: &mut Lips, limits: gate::Limits, now: Instant) -> Option<VideoIn> {
        let for_sound = lips.picture(taken(&data), now);
        let (mut keyframe, mut size, mut baseline) = (data.is_keyframe(), None, true);
        if keyframe {
            match gate::inspect(codec, &data.data, limits) {
                Ok(header) => (keyframe, size, baseline) = (header.keyframe, header.size, header.baseline),
                Err(refusal) => {
                    self.gap |= self.is_forwarded(&data);
                    self.requests.want(now);
                    return refuse(match refusal {
                        gate::Refusal::Truncated => "gate_truncated",
                        gate::Refusal::Malformed => "gate_malformed",
                        gate::Refusal::Unsupported => "gate_unsupported",
                        gate::Refusal::TooLarge => "gate_too_large",
                    });
                }
            }
        }
        let verdict = self.layer(&data, keyframe.then(|| size.map_or(0, |size| size.height)), now);
        if keyframe && verdict != Verdict::Drop {
            self.requests.satisfied();
        }
        // Another layer is better, or the one in use has fallen silent.
        if self.selector.as_ref().is_some_and(|selector| selector.missing(now).is_some()) {
            self.requests.want(now);
        }
        if verdict == Verdict::Drop {
            return None;
        }
        let gap = std::mem::take(&mut self.gap);
        let rtp_time = self.clock.unify(data.time.numer(), verdict == Verdict::Switch, now);
        // Nobody's voice waits for a picture that is not seen.
        let waits = match self.source {
            Source::Camera if self.height != Some(0) => lips.evenly(rtp_time, for_sound, now),
            _ => lips.unevenly(for_sound),
        };
        let turns = data.ext_vals.video_orientation.map_or(0, |orientation| orientation as u8);
        Some(VideoIn {
            source: self.source,
            codec,
            keyframe,
            size,
            baseline,
            contiguous: (data.contiguous && !gap) || verdict == Verdict::Switch,
            orientation: Orientation { quarter_turns: turns & 3, flip: false },
            rtp_time,
            received: now,
            waits,
            for_sound,
            data: data.data,
        })
    }

    fn layer(&mut self, data: &MediaData, keyframe: Option<u32>, now: Instant) -> Verdict {
        let layer = self.layer_of(data);
        let Some(selector) = &mut self.selector else { return Verdict::Forward };
        let Some(layer) = layer else { return refuse("rid").unwrap_or(Verdict::Drop) };
        selector.picture(layer, keyframe, now)
    }

    fn layer_of(&self, data: &MediaData) -> Option<usize> {
        data.rid.and_then(|rid| self.layers.iter().position(|known| *known == rid))
    }

    /// Whether the picture is of the stream that goes to the decoder now.
    fn is_forwarded(&self, data: &MediaData) -> bool {
        self.selector.as_ref().is_none_or(|selector| selector.active() == self.layer_of(data))
    }

    fn audio(&self, codec: AudioCodec, data: MediaData, lips: &mut Lips) -> AudioIn {
        let (waits, evenly) = lips.sound(taken(&data), data.network_time);
        AudioIn {
            source: self.source,
            codec,
            sequence: **data.seq_range.start(),
            rtp_time: data.time.numer(),
            level_dbov: data.ext_vals.audio_level.map(|level| level.min(0)),
            received: data.network_time,
            waits,
            evenly,
            data: data.data,
        }
    }

    fn ask(&self, rtc: &mut Rtc, now: Instant) -> bool {
        let layer = self.selector.as_ref().and_then(|selector| selector.missing(now).or(selector.active()));
        let rid = layer.and_then(|layer| self.layers.get(layer).copied()).or_else(|| self.layers.first().copied());
        let Some(mut writer) = rtc.writer(self.mid) else { return false };
        let pli = writer.is_request_keyframe_possible(KeyframeRequestKind::Pli);
        let kind = if pli { KeyframeRequestKind::Pli } else { KeyframeRequestKind::Fir };
        // Before the first packet there is nobody to ask; the next repetition will find them.
        writer.request_keyframe(rid, kind).is_ok()
    }
}

/// When a unit was taken on its sender's clock, by the last report.
fn taken(data: &MediaData) -> Option<SystemTime> {
    let report = data.last_sender_info?;
    // Each is unwrapped by itself.
    let ahead = (data.time.numer() as u32).wrapping_sub(report.rtp_time.numer() as u32).cast_signed();
    let apart = Duration::from_secs_f64(f64::from(ahead.unsigned_abs()) / f64::from(data.time.denom().max(1)));
    if ahead < 0 { report.ntp_time.checked_sub(apart) } else { report.ntp_time.checked_add(apart) }
}

fn refuse<T>(reason: &'static str) -> Option<T> {
    metrics::counter!("mixdown_drops_total", "reason" => reason).increment(1);
    None
}
