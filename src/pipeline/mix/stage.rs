//! One room's mix, without threads or clocks.

use super::encode::{self, Tick};
use super::outputs::Outputs;
use super::speaker::{Reception, Speaker};
use super::{Event, Input, Settings, TICKS_PER_SECOND};
use crate::audio::ambience::Ambience;
use crate::audio::playout::Stats;
use crate::audio::{Pcm, samples_since, silence};
use crate::cadence::Cadence;
use crate::ids::{ParticipantId, Source};
use crate::media::AudioIn;
use crate::pipeline::Outlet;
use crate::room::sound::Chime;
use crate::room::speaker::{Change, Detector, Rule};
use metrics::Counter;
use mixdown_layouts::layout::ActiveSpeaker;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A tick that begins later than this is late.
const LATE: Duration = Duration::from_millis(5);
/// Ticks that one sender is listened into, unheard.
const AUDIT: u64 = 10;

/// A room's sound: voices in, mixes out, stepped every 20 ms.
pub struct Mix {
    settings: Settings,
    cadence: Cadence,
    outlet: Arc<dyn Outlet>,
    speakers: BTreeMap<ParticipantId, Speaker>,
    outputs: Outputs,
    ambience: Ambience,
    pcm: Box<Pcm>,
    /// By rule; never empty.
    detectors: Vec<Detector>,
    /// The tick that comes next.
    n: u64,
    ranks: Vec<(f32, ParticipantId, Source)>,
    /// Somebody has left and is not forgotten yet.
    leaving: bool,
    counters: Counters,
}

impl Mix {
    /// A mix whose media time begins at `epoch`.
    pub fn new(settings: Settings, epoch: Instant, outlet: Arc<dyn Outlet>) -> Self {
        Self {
            detectors: vec![Detector::new(ActiveSpeaker::default().into())],
            cadence: Cadence::new(epoch, TICKS_PER_SECOND),
            settings,
            outlet,
            speakers: BTreeMap::new(),
            outputs: Outputs::default(),
            ambience: Ambience::default(),
            pcm: silence(),
            n: 0,
            ranks: Vec::with_capacity(64),
            leaving: false,
            counters: Counters::new(),
        }
    }

    pub fn cadence(&self) -> Cadence {
        self.cadence
    }

    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Packet { from, packet } => self.packet(from, packet),
            Input::Speaker { participant, voicing } => {
                self.detectors.iter_mut().for_each(|detector| detector.join(participant));
                self.speakers.entry(participant).or_default().treat(voicing);
            }
            Input::SpeakerLeft(participant) => {
                self.detectors.iter_mut().for_each(|detector| detector.leave(participant));
                if let Some(speaker) = self.speakers.get_mut(&participant) {
                    speaker.leave();
                    self.leaving = true;
                }
            }
            Input::Mix { mix, blend } => self.outputs.blend(mix, &blend),
            Input::MixClosed(mix) => self.outputs.close(mix),
            Input::Listener { participant, codec, mix } => self.outputs.join(participant, codec, mix),
            Input::ListenerLeft(participant) => self.outputs.leave(participant),
            Input::Grade { listener, grade } => self.outputs.grade(listener, grade),
            Input::Loss { listener, loss } => self.outputs.loss(listener, loss),
            Input::Floors(rules) => self.floors(&rules),
            Input::Hold(holding) => self.ambience.hold(holding),
            Input::Chime(Chime::Joined) => self.ambience.joined(),
            Input::Chime(Chime::Left) => self.ambience.left(),
        }
    }

    /// Mixes and sends tick `n`, at `now` (its nominal time or a little later). `event` is told what changed.
    pub fn tick(&mut self, now: Instant, n: u64, event: &mut dyn FnMut(Event)) {
        if now.saturating_duration_since(self.cadence.time(n)) > LATE {
            self.counters.late.increment(1);
        }
        self.n = n;
        let time = self.samples(n);
        if self.outputs.is_empty() {
            self.pass(time);
        } else {
            self.outputs.begin();
            self.choose(time);
            self.mix(time);
            self.send();
        }
        if std::mem::take(&mut self.leaving) {
            self.speakers.retain(|_, speaker| !speaker.is_over());
        }
        self.detect(event);
        if n.is_multiple_of(u64::from(TICKS_PER_SECOND)) {
            self.report(event);
        }
        self.n = n + 1;
        self.speakers.values_mut().for_each(Speaker::rest);
    }

    /// Detectors of rules that stay go on; new ones begin with what the first has heard.
    fn floors(&mut self, rules: &[Rule]) {
        let before = |rule: &Rule| self.detectors.iter().find(|detector| detector.rule() == *rule).cloned();
        let first = self.detectors.first();
        let next: Vec<Detector> = rules.iter().filter_map(|rule| before(rule).or_else(|| Some(first?.by(*rule)))).collect();
        if !next.is_empty() {
            self.detectors = next;
        }
    }

    fn samples(&self, n: u64) -> i64 {
        i64::try_from(self.cadence.rtp_time(n, 48_000)).unwrap_or(i64::MAX)
    }

    fn packet(&mut self, from: ParticipantId, packet: AudioIn) {
        let arrival = samples_since(self.cadence.epoch(), packet.received);
        let speaker = self.speakers.get_mut(&from).filter(|speaker| !speaker.is_gone());
        let Some(speaker) = speaker else { return self.counters.strangers.increment(1) };
        match speaker.packet(self.n, packet, arrival, &self.settings) {
            Reception::Taken => {}
            Reception::Muted => self.counters.muted.increment(1),
            Reception::Flood => self.counters.flood.increment(1),
            Reception::Failed => self.counters.failures.increment(1),
        }
    }

    fn pass(&mut self, time: i64) {
        let n = self.n;
        self.speakers.values_mut().for_each(|speaker| speaker.pass(n, time));
    }

    /// Marks the loudest voices.
    fn choose(&mut self, time: i64) {
        let (n, settings) = (self.n, &self.settings);
        self.ranks.clear();
        for (id, speaker) in &mut self.speakers {
            let voices = [(&mut speaker.microphone, Source::Microphone), (&mut speaker.screen, Source::ScreenAudio)];
            for (voice, source) in voices.into_iter().filter_map(|(voice, source)| Some((voice.as_mut()?, source))) {
                voice.begin(n, time, settings);
                self.ranks.extend(voice.rank(n).map(|rank| (rank, *id, source)));
                voice.choose(false);
            }
        }
        self.ranks.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let most = settings.loudest.clamp(1, 32);
        for (_, id, source) in &self.ranks {
            if !self.outputs.admit(*id, most) {
                continue;
            }
            let Some(speaker) = self.speakers.get_mut(id) else { continue };
            let voice = if *source == Source::Microphone { &mut speaker.microphone } else { &mut speaker.screen };
            if let Some(voice) = voice {
                voice.choose(true);
            }
        }
    }

    /// Decodes what is heard, and sums it.
    fn mix(&mut self, time: i64) {
        let audited = (self.n / AUDIT).checked_rem(self.speakers.len() as u64);
        let (settings, counters) = (&self.settings, &self.counters);
        for (index, (id, speaker)) in self.speakers.iter_mut().enumerate() {
            let audit = audited == Some(index as u64);
            speaker.play(time, audit, settings, |last| counters.add(last), || counters.failures.increment(1));
            if speaker.audible {
                self.outputs.add(*id, &speaker.own);
            }
        }
        if self.ambience.render(&mut self.pcm) {
            self.outputs.add_all(&self.pcm);
        }
    }

    fn send(&mut self) {
        let tick =
            Tick { n: self.n, cadence: &self.cadence, settings: &self.settings, outlet: &*self.outlet, counters: &self.counters.encodes };
        let speakers = &self.speakers;
        self.outputs.send(&tick, |id| speakers.get(&id).filter(|speaker| speaker.audible).map(|speaker| &*speaker.own));
    }

    fn detect(&mut self, event: &mut dyn FnMut(Event)) {
        let heard = !self.outputs.is_empty();
        for (index, detector) in self.detectors.iter_mut().enumerate() {
            for (id, speaker) in self.speakers.iter().filter(|(_, speaker)| speaker.is_public()) {
                let voice = speaker.microphone.as_ref().filter(|voice| voice.is_rendered() || !heard);
                if let Some(voice) = voice {
                    detector.hear(*id, voice.level());
                }
            }
            let rule = detector.rule();
            detector.step(|change| match change {
                Change::Floor(participant) => event(Event::ActiveSpeaker { rule, participant }),
                Change::Speaking(participant, speaking) if index == 0 => event(Event::Speaking { participant, speaking }),
                Change::Speaking(..) => {}
            });
        }
    }

    fn report(&mut self, event: &mut dyn FnMut(Event)) {
        for (id, speaker) in &mut self.speakers {
            if speaker.is_public()
                && let Some(dbov) = speaker.news()
            {
                event(Event::Level { participant: *id, dbov });
            }
            for voice in speaker.voices() {
                self.counters.add(&voice.news());
            }
        }
    }
}

/// Handles, looked up once.
struct Counters {
    late: Counter,
    strangers: Counter,
    muted: Counter,
    flood: Counter,
    failures: Counter,
    packets: [Counter; 4],
    restarts: Counter,
    lost: Counter,
    samples: [Counter; 4],
    encodes: encode::Counters,
}

impl Counters {
    fn new() -> Self {
        let drop = |reason: &'static str| metrics::counter!("mixdown_drops_total", "reason" => reason);
        let samples = |kind: &'static str| metrics::counter!("mixdown_audio_samples_total", "kind" => kind);
        Self {
            late: metrics::counter!("mixdown_mix_tick_late_total"),
            strangers: drop("audio_unknown_sender"),
            muted: drop("audio_muted"),
            flood: drop("audio_flood"),
            failures: metrics::counter!("mixdown_codec_failures_total", "kind" => "audio_decode"),
            packets: ["audio_late", "audio_duplicate", "audio_malformed", "audio_trimmed"].map(drop),
            restarts: metrics::counter!("mixdown_audio_restarts_total"),
            lost: metrics::counter!("mixdown_audio_packets_lost_total"),
            samples: ["decoded", "recovered", "concealed", "comfort"].map(samples),
            encodes: encode::Counters::new(),
        }
    }

    fn add(&self, news: &Stats) {
        let packets = [news.late, news.duplicate, news.malformed, news.trimmed];
        let samples = [news.decoded_samples, news.recovered_samples, news.concealed_samples, news.comfort_samples];
        let all = self.packets.iter().zip(packets).chain(self.samples.iter().zip(samples));
        for (counter, count) in all.chain([(&self.restarts, news.restarts), (&self.lost, news.lost)]) {
            if count > 0 {
                counter.increment(count);
            }
        }
    }
}
