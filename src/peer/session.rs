//! Negotiation: offers and restarts in, answers out, and what was agreed.

use super::fragment::{self, Candidate};
use super::offer::{self, Credentials, Offer, OfferError};
use super::roles::{self, Roles};
use super::types::{Answer, Codec, Config, Kind, Negotiated, Transport};
use super::{channel, dtls, stun};
use crate::ids::Source;
use mixdown_codecs::{AudioCodec, VideoCodec};
use rand::RngExt;
use sha1::{Digest, Sha1};
use std::collections::VecDeque;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use str0m::bwe::Bitrate;
use str0m::change::SdpOffer;
use str0m::format::{Codec as StackCodec, PayloadParams};
use str0m::media::{Frequency, Mid, Pt, Rid};
use str0m::net::TcpType;
use str0m::{Candidate as StackCandidate, IceCreds, Rtc, RtcConfig};

/// ICE sessions that are remembered after their end.
const PAST: usize = 8;

/// What is kept of a stream to send it again.
pub const REPAIR_PACKETS: usize = 1_024;
pub const REPAIR_AGE: Duration = Duration::from_secs(2);
/// Share of a stream's bytes that may be repair: enough for a fifth of the packets lost, and less than the stream once more.
pub const REPAIR_SHARE: f32 = 0.4;

/// Where one kind of media goes down.
#[derive(Debug, Clone, Copy)]
pub struct Down<C> {
    pub mid: Mid,
    pub payload_type: Pt,
    pub codec: C,
}

/// What is agreed with the other side now.
pub struct Session {
    kind: Kind,
    pub local: Credentials,
    pub remote: Offer,
    roles: Roles,
    pub etag: String,
    /// Remote credentials of ICE sessions that are over: candidates of theirs may still arrive.
    past: VecDeque<Credentials>,
    candidates: usize,
    pub negotiated: Negotiated,
    pub video_down: Option<Down<VideoCodec>>,
    pub audio_down: Option<Down<AudioCodec>>,
    /// The stream whose repair is set up.
    repairs: Option<Mid>,
    /// Each packet of the mix carries the one before it too, where the other side understands that (RFC 2198).
    pub redundant: bool,
    /// The receiver sends transport-wide feedback: its other estimates do not count.
    pub transport_cc: bool,
}

impl Session {
    pub fn open(config: &Config, kind: Kind, text: &str, now: Instant) -> Result<(Rtc, Self, Answer), OfferError> {
        let mut offer = offer::parse(text)?;
        if offer.ice_lite && config.ice_lite {
            return Err(OfferError::Unprocessable("both sides are ICE-lite: nobody would send checks".into()));
        }
        let roles = roles::assign(&mut offer, kind, config, &Roles::default())?;
        let local = credentials();
        let mut rtc = build(config, &local, now);
        let candidates = std::mem::take(&mut offer.candidates);
        let text = accept(&mut rtc, &offer)?;
        let mut session = Self {
            kind,
            local,
            remote: offer,
            roles,
            etag: String::new(),
            past: VecDeque::new(),
            candidates: 0,
            negotiated: Negotiated::default(),
            video_down: None,
            audio_down: None,
            repairs: None,
            redundant: false,
            transport_cc: false,
        };
        let answer = session.agree(&mut rtc, config, &text);
        session.add_candidates(&mut rtc, config, &candidates);
        Ok((rtc, session, answer))
    }

    /// A new offer on the running session.
    pub fn renew(&mut self, rtc: &mut Rtc, config: &Config, text: &str) -> Result<Answer, OfferError> {
        let mut offer = offer::parse(text)?;
        roles::check_continuity(&self.remote, &offer)?;
        let roles = roles::assign(&mut offer, self.kind, config, &self.roles)?;
        let candidates = std::mem::take(&mut offer.candidates);
        let text = accept(rtc, &offer)?;
        if offer.ice != self.remote.ice {
            self.begin(self.remote.ice.clone());
        }
        self.remote = offer;
        self.roles = roles;
        let answer = self.agree(rtc, config, &text);
        self.add_candidates(rtc, config, &candidates);
        Ok(answer)
    }

    /// New remote credentials out of a fragment: the last offer once more, with these. The answer is a fragment too.
    pub fn restart(&mut self, rtc: &mut Rtc, config: &Config, ice: &Credentials) -> Result<Answer, OfferError> {
        let before = std::mem::replace(&mut self.remote.ice, ice.clone());
        let text = match accept(rtc, &self.remote) {
            Ok(text) => text,
            Err(error) => {
                self.remote.ice = before;
                return Err(error);
            }
        };
        self.begin(before);
        let answer = self.agree(rtc, config, &text);
        Ok(Answer { sdp: self.fragment(config, &answer.sdp), etag: answer.etag })
    }

    /// A new ICE session begins; `before` are the remote credentials of the one that is over.
    fn begin(&mut self, before: Credentials) {
        self.candidates = 0;
        self.past.truncate(PAST - 1);
        self.past.push_front(before);
    }

    /// Whether a fragment with these credentials is about an ICE session that is over.
    pub fn is_past(&self, ice: &Credentials) -> bool {
        self.past.contains(ice)
    }

    /// Gives the stack those candidates that a check may go to.
    pub fn add_candidates(&mut self, rtc: &mut Rtc, config: &Config, candidates: &[Candidate]) {
        // An ICE-lite agent sends no checks: it needs none.
        if config.ice_lite {
            return;
        }
        let own: Vec<_> = config.candidates.iter().map(|(_, advertised, _)| *advertised).collect();
        for candidate in candidates {
            if self.candidates >= fragment::MAX_CANDIDATES || !fragment::may_check(candidate.address, &own) {
                metrics::counter!("mixdown_drops_total", "reason" => "candidate").increment(1);
                continue;
            }
            if let Ok(candidate) = StackCandidate::from_sdp_string(&candidate.text) {
                self.candidates += 1;
                rtc.add_remote_candidate(candidate);
            }
        }
    }

    /// Whether a STUN message is this session's: made with our password (requests) or the other side's (responses).
    pub fn authenticates(&self, datagram: &[u8]) -> bool {
        stun::parse(datagram).is_some_and(|message| match message.class {
            stun::Class::Request => message.receiver_ufrag() == Some(&self.local.ufrag) && message.verify(&self.local.pwd),
            stun::Class::Success | stun::Class::Error => message.verify(&self.remote.ice.pwd),
        })
    }

    /// The tracks that the other side sends now: m-line, source, simulcast layers.
    pub fn sending(&self, rtc: &Rtc) -> Vec<(Mid, Source, Vec<Rid>)> {
        let sections = self.remote.sections.iter().filter(|section| section.direction.sends && !section.rejected);
        let tracks = sections.filter_map(|section| {
            let source = *self.roles.sources.get(&section.mid)?;
            let mid = Mid::from(section.mid.as_str());
            let live = rtc.media(mid).is_some_and(|media| media.direction().is_receiving() && !media.disabled());
            live.then(|| (mid, source, section.layers.iter().map(|rid| Rid::from(rid.as_str())).collect()))
        });
        tracks.collect()
    }

    /// After the stack has accepted an offer: our own credentials, what was agreed, the answer as sent.
    fn agree(&mut self, rtc: &mut Rtc, config: &Config, text: &str) -> Answer {
        let made = rtc.direct_api().local_ice_credentials();
        let mut text = text.to_owned();
        if made.ufrag != self.local.ufrag {
            // ICE was restarted. The stack's own credentials do not come from a cryptographic generator.
            self.local = credentials();
            rtc.direct_api().set_local_ice_credentials(IceCreds { ufrag: self.local.ufrag.clone(), pass: self.local.pwd.clone() });
            text = text.replace(&made.ufrag, &self.local.ufrag).replace(&made.pass, &self.local.pwd);
        }
        let digest = Sha1::digest(format!("{} {} {}", self.local.ufrag, self.local.pwd, self.remote.ice.ufrag));
        self.etag = digest.iter().take(10).fold(String::from("\""), |mut etag, byte| {
            let _ = write!(etag, "{byte:02x}");
            etag
        });
        self.etag.push('"');
        self.declare_sender(rtc);
        self.find_down(rtc, config);
        self.set_up_repair(rtc);
        if let Some(down) = self.audio_down {
            rtc.direct_api().set_red_send(down.mid, self.redundant);
        }
        self.negotiated = Negotiated {
            sends: self.sends(rtc, config),
            video_down: self.video_down.map(|down| down.codec),
            audio_down: self.audio_down.map(|down| down.codec),
        };
        Answer { sdp: without_candidate_ufrags(&text), etag: self.etag.clone() }
    }

    /// On an m-line that receives simulcast the stack declares no outgoing stream by itself, and would silently drop the composite.
    fn declare_sender(&self, rtc: &mut Rtc) {
        for mid in [&self.roles.video_down, &self.roles.audio_down].into_iter().flatten() {
            let simulcast = self.remote.sections.iter().any(|section| section.mid == *mid && !section.layers.is_empty());
            let mid = Mid::from(mid.as_str());
            let mut api = rtc.direct_api();
            if simulcast && api.stream_tx_by_mid(mid, None).is_none() {
                let (ssrc, repair) = (api.new_ssrc(), api.new_ssrc());
                api.declare_stream_tx(ssrc, Some(repair), mid, None);
            }
        }
    }

    /// Lets go what was kept to be sent again.
    pub fn forget(&mut self, rtc: &mut Rtc) {
        self.repairs = None;
        self.set_up_repair(rtc);
    }

    /// Once per stream: it drops what was kept to be sent again.
    fn set_up_repair(&mut self, rtc: &mut Rtc) {
        let Some(mid) = self.video_down.map(|down| down.mid).filter(|mid| self.repairs != Some(*mid)) else { return };
        let mut api = rtc.direct_api();
        if let Some(stream) = api.stream_tx_by_mid(mid, None) {
            stream.set_rtx_cache(REPAIR_PACKETS, REPAIR_AGE, Some(REPAIR_SHARE));
            self.repairs = Some(mid);
        }
    }

    /// Sends each packet of the mix once more with the next one, or no longer.
    pub fn set_redundant(&mut self, rtc: &mut Rtc, redundant: bool) {
        self.redundant = redundant;
        if let Some(down) = self.audio_down {
            rtc.direct_api().set_red_send(down.mid, redundant);
        }
    }

    fn find_down(&mut self, rtc: &Rtc, config: &Config) {
        let video = self.roles.video_down.as_deref().map(Mid::from);
        let audio = self.roles.audio_down.as_deref().map(Mid::from);
        self.video_down = video.and_then(|mid| {
            let agreed = agreed(rtc, mid, |media| media.direction().is_sending());
            config.video_codecs.iter().find_map(|codec| {
                let fits =
                    |params: &&PayloadParams| video_codec(params) == Some(*codec) && params.spec().format.packetization_mode != Some(0);
                agreed.iter().find(fits).map(|params| Down { mid, payload_type: params.pt(), codec: *codec })
            })
        });
        self.audio_down = audio.and_then(|mid| {
            let agreed = agreed(rtc, mid, |media| media.direction().is_sending());
            let first =
                |codec: &AudioCodec| agreed.iter().find(|params| audio_codec(params) == Some(*codec)).map(|params| (params.pt(), *codec));
            config.audio_codecs.iter().find_map(first).map(|(payload_type, codec)| Down { mid, payload_type, codec })
        });
        let feedback = |params: &PayloadParams| params.fb_transport_cc();
        self.transport_cc = video.or(audio).is_some_and(|mid| agreed(rtc, mid, |_| true).iter().any(feedback));
    }

    fn sends(&self, rtc: &Rtc, config: &Config) -> Vec<(Source, Codec)> {
        let mut sends = Vec::new();
        for (mid, source, _) in self.sending(rtc) {
            let agreed = agreed(rtc, mid, |_| true);
            let video = config.video_codecs.iter().find(|codec| agreed.iter().any(|params| video_codec(params) == Some(**codec)));
            let audio = config.audio_codecs.iter().find(|codec| agreed.iter().any(|params| audio_codec(params) == Some(**codec)));
            sends.extend(video.map(|codec| (source, Codec::Video(*codec))).or(audio.map(|codec| (source, Codec::Audio(*codec)))));
        }
        sends
    }

    /// RFC 9725 §4.3.3: credentials and candidates of the new ICE session.
    fn fragment(&self, config: &Config, answer: &str) -> String {
        let mut text = String::new();
        if config.ice_lite {
            text.push_str("a=ice-lite\r\n");
        }
        text.push_str("a=ice-options:trickle\r\n");
        let bundle = answer.lines().find(|line| line.starts_with("a=group:BUNDLE")).unwrap_or("a=group:BUNDLE");
        let media = answer.lines().find(|line| line.starts_with("m=")).unwrap_or("m=audio 9 UDP/TLS/RTP/SAVPF 0");
        let mid = self.remote.sections.first().map_or("0", |section| section.mid.as_str());
        let _ = write!(text, "{bundle}\r\n{media}\r\na=mid:{mid}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", self.local.ufrag, self.local.pwd);
        for line in answer.lines().filter(|line| line.starts_with("a=candidate:")) {
            let _ = write!(text, "{line}\r\n");
        }
        text.push_str("a=end-of-candidates\r\n");
        text
    }
}

/// Settings after the first negotiation.
pub fn tune(rtc: &mut Rtc, config: &Config) {
    aim(rtc, (0, config.max_bitrate_bps));
}

/// What is sent at least, with padding and within the estimate, and what the estimator shall find out that the link carries: raising it makes it
/// probe. Bits per second.
pub fn aim(rtc: &mut Rtc, (least_bps, bps): (u32, u32)) {
    rtc.bwe().set_bitrate(Bitrate::bps(u64::from(least_bps)), Bitrate::bps(u64::from(bps)));
}

/// RTP clock of an audio codec.
pub fn frequency(codec: AudioCodec) -> Frequency {
    match codec {
        AudioCodec::Opus | AudioCodec::L16 => Frequency::FORTY_EIGHT_KHZ,
        AudioCodec::Pcmu | AudioCodec::Pcma => Frequency::EIGHT_KHZ,
    }
}

/// The stack has been fuzzed; a panic in it must not take more with it than this offer all the same.
fn accept(rtc: &mut Rtc, offer: &Offer) -> Result<String, OfferError> {
    let text = offer.render();
    let accepted = catch_unwind(AssertUnwindSafe(|| {
        let offer = SdpOffer::from_sdp_string(&text).map_err(|error| error.to_string())?;
        let answer = rtc.sdp_api().accept_offer(offer).map_err(|error| error.to_string())?;
        Ok(whole_opus(&answer.to_sdp_string()))
    }));
    accepted.unwrap_or_else(|_| Err("the offer cannot be processed".into())).map_err(OfferError::Unprocessable)
}

/// 96 and 192 bits, RFC 8445 §5.3.
fn credentials() -> Credentials {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = rand::rng();
    let mut text = |length: usize| (0..length).map(|_| char::from(ALPHABET[random.random_range(0..64)])).collect();
    Credentials { ufrag: text(16), pwd: text(32) }
}

fn build(config: &Config, local: &Credentials, now: Instant) -> Rtc {
    let mut stack = RtcConfig::new()
        .clear_codecs()
        .set_ice_lite(config.ice_lite)
        .set_local_ice_credentials(IceCreds { ufrag: local.ufrag.clone(), pass: local.pwd.clone() })
        .set_crypto_provider(dtls::provider())
        .set_reordering_size_audio(0)
        .set_stats_interval(Some(Duration::from_secs(1)))
        .enable_bwe(Some(Bitrate::bps(u64::from(config.initial_bitrate_bps))))
        .set_sctp_max_message_size(channel::MAX_MESSAGE as u32)
        .set_sctp_max_buffered_amount(2 * channel::MAX_BUFFERED);
    dtls::hurry(&mut stack);
    let codecs = stack.codec_config();
    for codec in &config.video_codecs {
        match codec {
            VideoCodec::H264 => codecs.add_h264(108.into(), Some(109.into()), true, 0x42_e01f),
            VideoCodec::Vp8 => codecs.enable_vp8(true),
        }
    }
    if config.video_codecs.contains(&VideoCodec::H264) {
        // After all others: understood from senders that have nothing better.
        codecs.add_h264(124.into(), Some(120.into()), false, 0x42_e01f);
    }
    for codec in &config.audio_codecs {
        match codec {
            // With redundancy, which cannot be added to settings of our own: [`whole_opus`] says the rest.
            AudioCodec::Opus => codecs.enable_opus(true, true),
            AudioCodec::Pcmu => codecs.enable_pcmu(true, false),
            AudioCodec::Pcma => codecs.enable_pcma(true, false),
            AudioCodec::L16 => {} // never on the wire
        }
    }
    let mut rtc = stack.build(now);
    for (transport, advertised, _) in &config.candidates {
        let candidate = match transport {
            Transport::Udp => StackCandidate::builder().udp().host(*advertised).build(),
            Transport::Tcp => StackCandidate::builder().tcp().host(*advertised).tcptype(TcpType::Passive).build(),
        };
        if let Ok(candidate) = candidate {
            rtc.add_local_candidate(candidate);
        }
    }
    rtc
}

/// The stack's own parameters of Opus, and ours: pauses are not sent, and both sides may be in stereo (RFC 7587 §6.1).
fn whole_opus(answer: &str) -> String {
    const BRIEF: &str = "minptime=10;useinbandfec=1\r\n";
    answer.replace(BRIEF, "minptime=10;useinbandfec=1;usedtx=1;stereo=1;sprop-stereo=1\r\n")
}

fn agreed(rtc: &Rtc, mid: Mid, wanted: impl Fn(&str0m::media::Media) -> bool) -> Vec<PayloadParams> {
    let Some(media) = rtc.media(mid).filter(|media| !media.disabled() && wanted(media)) else { return Vec::new() };
    rtc.codec_config().params().iter().filter(|params| media.remote_pts().contains(&params.pt())).copied().collect()
}

fn video_codec(params: &PayloadParams) -> Option<VideoCodec> {
    match params.spec().codec {
        StackCodec::H264 => Some(VideoCodec::H264),
        StackCodec::Vp8 => Some(VideoCodec::Vp8),
        _ => None,
    }
}

fn audio_codec(params: &PayloadParams) -> Option<AudioCodec> {
    match params.spec().codec {
        StackCodec::Opus => Some(AudioCodec::Opus),
        StackCodec::PCMU => Some(AudioCodec::Pcmu),
        StackCodec::PCMA => Some(AudioCodec::Pcma),
        _ => None,
    }
}

/// The stack notes its first ufrag in candidate lines for ever; nobody needs it there (RFC 8839 §5.1 leaves it out).
fn without_candidate_ufrags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = match line.split_once(" ufrag ") {
            Some((before, _)) if line.starts_with("a=candidate:") => before,
            _ => line,
        };
        let _ = write!(out, "{line}\r\n");
    }
    out
}
