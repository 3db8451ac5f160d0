//! The m-lines of an offer and the engine's settings behind them.

use super::types::Config;
use crate::ids::Source;
use crate::peer::{REPAIR_AGE, REPAIR_PACKETS, REPAIR_SHARE};
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::time::Duration;
use str0m::{
    Rtc, RtcConfig,
    bwe::Bitrate,
    change::SdpApi,
    format::{Codec, FormatParams},
    media::{Direction, Frequency, MediaKind, Mid, Rid, Simulcast, SimulcastLayer},
    rtp::VideoOrientation,
};

/// One m-line of ours.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub mid: Mid,
    pub kind: MediaKind,
    /// What it sends, or would send.
    pub source: Option<Source>,
    pub receives: bool,
    pub simulcast: bool,
    /// What is kept to be sent again is set up.
    pub repairs: bool,
}

impl Line {
    /// Once the line is answered: keeps enough to repair a link that loses a fifth, as browsers do.
    pub fn set_up_repair(&mut self, rtc: &mut Rtc, rids: &[String]) {
        if self.repairs || self.kind != MediaKind::Video || self.source.is_none() {
            return;
        }
        let rids: Vec<Option<Rid>> =
            if self.simulcast { rids.iter().map(|rid| Some(Rid::from(rid.as_str()))).collect() } else { vec![None] };
        let mut api = rtc.direct_api();
        for rid in rids {
            if let Some(stream) = api.stream_tx_by_mid(self.mid, rid) {
                stream.set_rtx_cache(REPAIR_PACKETS, REPAIR_AGE, Some(REPAIR_SHARE));
                self.repairs = true;
            }
        }
    }
}

pub(super) fn engine(config: &Config) -> RtcConfig {
    let mut engine = RtcConfig::new()
        .clear_codecs()
        .set_crypto_provider(crate::peer::dtls::provider())
        .set_reordering_size_audio(0)
        .set_stats_interval(Some(Duration::from_secs(1)))
        .enable_bwe(config.estimate_bps.map(|bps| Bitrate::from(u64::from(bps))));
    crate::peer::dtls::hurry(&mut engine);
    let codecs = engine.codec_config();
    for codec in &config.video_codecs {
        match codec {
            VideoCodec::H264 => codecs.add_h264(102.into(), Some(103.into()), true, 0x42_e01f),
            VideoCodec::Vp8 => codecs.enable_vp8(true),
        }
    }
    for codec in &config.audio_codecs {
        match codec {
            AudioCodec::Opus if config.redundant => codecs.enable_opus(true, true),
            AudioCodec::Opus => codecs.add_config(
                111.into(),
                None,
                Codec::Opus,
                Frequency::FORTY_EIGHT_KHZ,
                Some(2),
                FormatParams { use_inband_fec: Some(true), use_dtx: Some(true), stereo: Some(true), ..FormatParams::default() },
            ),
            AudioCodec::Pcmu => codecs.enable_pcmu(true, false),
            AudioCodec::Pcma => codecs.enable_pcma(true, false),
            AudioCodec::L16 => {} // never on the wire
        }
    }
    engine
}

/// An m-line to add.
pub(super) struct NewLine<'a> {
    pub kind: MediaKind,
    pub source: Option<Source>,
    pub sends: bool,
    pub receives: bool,
    pub rids: &'a [String],
}

impl NewLine<'_> {
    pub fn audio(source: Source, sends: bool, receives: bool) -> Self {
        Self { kind: MediaKind::Audio, source: Some(source), sends, receives, rids: &[] }
    }

    pub fn video(source: Source, sends: bool, receives: bool) -> Self {
        Self { kind: MediaKind::Video, source: Some(source), sends, receives, rids: &[] }
    }

    /// `None`: neither sends nor receives, so there is no such line.
    pub fn add(self, api: &mut SdpApi<'_>) -> Option<Line> {
        let direction = match (self.sends, self.receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => return None,
        };
        let simulcast = (!self.rids.is_empty()).then(|| {
            let mut simulcast = Simulcast::new();
            self.rids.iter().for_each(|rid| simulcast.add_send_layer(SimulcastLayer::new(rid)));
            simulcast
        });
        let mid = api.add_media(self.kind, direction, None, None, simulcast);
        Some(Line { mid, kind: self.kind, source: self.source, receives: self.receives, simulcast: !self.rids.is_empty(), repairs: false })
    }
}

pub(super) fn turn(api: &mut SdpApi<'_>, lines: &[Line], source: Source, on: bool) {
    let Some(line) = lines.iter().find(|line| line.source == Some(source)) else { return };
    let direction = match (on, line.receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    };
    api.set_direction(line.mid, direction);
}

pub(super) fn video_codec(codec: Codec) -> Option<VideoCodec> {
    match codec {
        Codec::H264 => Some(VideoCodec::H264),
        Codec::Vp8 => Some(VideoCodec::Vp8),
        _ => None,
    }
}

pub(super) fn audio_codec(codec: Codec) -> Option<AudioCodec> {
    match codec {
        Codec::Opus => Some(AudioCodec::Opus),
        Codec::PCMU => Some(AudioCodec::Pcmu),
        Codec::PCMA => Some(AudioCodec::Pcma),
        _ => None,
    }
}

/// The engine's names count anticlockwise.
pub(super) fn orientation(quarter_turns: u8) -> VideoOrientation {
    match quarter_turns % 4 {
        0 => VideoOrientation::Deg0,
        1 => VideoOrientation::Deg270,
        2 => VideoOrientation::Deg180,
        _ => VideoOrientation::Deg90,
    }
}
