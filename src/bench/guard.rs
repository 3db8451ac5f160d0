//! What must hold for a figure to count: a server that drops pictures, blurs or stutters is cheap. Pure.

use serde::Serialize;

/// What one run showed of the quality of what was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Pictures were sent.
    pub video: bool,
    /// None are, and nobody talks: the canvas rests.
    pub rests: bool,
    /// Frame rate of the slowest and the fastest viewer.
    pub fps: Option<(f64, f64)>,
    /// Share of ticks without a picture, of the worst viewer or as the server counts, in percent.
    pub missed: Option<f64>,
    /// 20 ms packets of sound that never came, of the worst viewer.
    pub audio_gaps: Option<f64>,
    /// How much later than its sound a picture is shown, in milliseconds.
    pub skew: Result<f64, Why>,
    /// Beeps that were heard in a second, of all who talk.
    pub beeps: Result<f64, Why>,
    /// PSNR of the composite and of what x264 makes of the same pictures at the same rate, in dB.
    pub psnr: Result<(f64, f64), Why>,
}

/// Why there is nothing to judge.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// It was sent and did not come out so that it could be read: the guard is broken.
    Unread(String),
    /// It was not sent, or what judges it is not there: nobody can say.
    Unchecked(String),
}

/// One guard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Guard {
    pub name: &'static str,
    pub limit: String,
    pub value: Option<f64>,
    /// `None`: it could not be checked, and `note` says why.
    pub held: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Pictures per second of every canvas.
const FPS: f64 = 30.0;
/// Half a percent.
const MISSED: f64 = 0.5;
const SKEW_MS: f64 = 40.0;
const WORSE_DB: f64 = 0.3;
/// Pictures per second of a canvas that rests.
const AT_REST: f64 = 0.8;
/// Whoever talks beeps once a second; a mix of many may hide some.
const BEEPS: f64 = 0.5;

impl Guard {
    fn of(name: &'static str, limit: impl Into<String>, value: Option<f64>, good: impl Fn(f64) -> bool) -> Self {
        // What should have come and did not is no excuse.
        let note = if value.is_none() { "nothing was received".into() } else { String::new() };
        Self { name, limit: limit.into(), value, held: Some(value.is_some_and(good)), note }
    }

    fn without(name: &'static str, limit: impl Into<String>, why: &Why) -> Self {
        let (held, note) = match why {
            Why::Unread(what) => (Some(false), what),
            Why::Unchecked(what) => (None, what),
        };
        Self { name, limit: limit.into(), value: None, held, note: note.clone() }
    }
}

/// All guards of a run.
pub fn judge(evidence: &Evidence) -> Vec<Guard> {
    let mut guards = Vec::new();
    if evidence.video {
        // The worse of the two.
        let fps = evidence.fps.map(|(low, high)| if FPS - low >= high - FPS { low } else { high });
        guards.push(Guard::of("frame rate", "30 ± 1 %", fps, |fps| (fps - FPS).abs() <= FPS / 100.0));
        guards.push(Guard::of("missed ticks", "≤ 0.5 %", evidence.missed, |missed| missed <= MISSED));
        guards.push(match &evidence.psnr {
            Ok((own, reference)) => {
                let least = reference - WORSE_DB;
                Guard::of("PSNR of the composite", format!("≥ {least:.2} dB (x264 superfast − 0.3)"), Some(*own), |own| own >= least)
            }
            Err(why) => Guard::without("PSNR of the composite", "x264 superfast − 0.3 dB", why),
        });
        guards.push(match &evidence.skew {
            Ok(skew) => Guard::of("A/V skew", "≤ 40 ms", Some(*skew), |skew| skew.abs() <= SKEW_MS),
            Err(why) => Guard::without("A/V skew", "≤ 40 ms", why),
        });
    } else {
        if evidence.rests {
            let fps = evidence.fps.map(|(low, _)| low);
            guards.push(Guard::of("pictures per second at rest", "≥ 0.8", fps, |fps| fps >= AT_REST));
        }
        // With pictures, no skew can be read of what is not heard.
        guards.push(match &evidence.beeps {
            Ok(beeps) => Guard::of("beeps heard per second", "≥ 0.5", Some(*beeps), |beeps| beeps >= BEEPS),
            Err(why) => Guard::without("beeps heard per second", "≥ 0.5", why),
        });
    }
    guards.push(match &evidence.beeps {
        // Of silence hardly any are sent.
        Err(why @ Why::Unchecked(_)) => Guard::without("audio packets missing", "0", why),
        _ => Guard::of("audio packets missing", "0", evidence.audio_gaps, |gaps| gaps == 0.0),
    });
    guards
}

/// The first guard that broke.
pub fn broken(guards: &[Guard]) -> Option<&Guard> {
    guards.iter().find(|guard| guard.held == Some(false))
}

impl std::fmt::Display for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = match self.held {
            Some(true) => "held",
            Some(false) => "BROKEN",
            None => "unchecked",
        };
        let value = self.value.map_or_else(String::new, |value| format!("{value:.2}"));
        let note = if self.note.is_empty() { String::new() } else { format!(" ({})", self.note) };
        write!(f, "{:24}  {value:>8}  {:36}  {verdict}{note}", self.name, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Evidence {
        Evidence {
            video: true,
            rests: false,
            fps: Some((29.9, 30.05)),
            missed: Some(0.1),
            audio_gaps: Some(0.0),
            skew: Ok(-12.0),
            beeps: Ok(3.0),
            psnr: Ok((36.0, 36.2)),
        }
    }

    #[test]
    fn a_good_run_holds_all_and_each_fault_breaks_its_own_guard() {
        assert!(judge(&good()).iter().all(|guard| guard.held == Some(true)));
        let faults: [(&str, Evidence); 7] = [
            ("frame rate", Evidence { fps: Some((29.6, 30.0)), ..good() }),
            ("frame rate", Evidence { fps: Some((29.9, 30.4)), ..good() }),
            ("frame rate", Evidence { fps: None, ..good() }),
            ("missed ticks", Evidence { missed: Some(0.51), ..good() }),
            ("PSNR of the composite", Evidence { psnr: Ok((35.89, 36.2)), ..good() }),
            ("A/V skew", Evidence { skew: Ok(-41.0), ..good() }),
            ("audio packets missing", Evidence { audio_gaps: Some(1.0), ..good() }),
        ];
        for (name, evidence) in faults {
            let guards = judge(&evidence);
            assert_eq!(broken(&guards).map(|guard| guard.name), Some(name), "{evidence:?}");
            assert_eq!(guards.iter().filter(|guard| guard.held == Some(true)).count(), 4);
        }
    }

    #[test]
    fn what_cannot_be_checked_says_why_and_what_was_never_sent_is_not_asked_for() {
        let unchecked = |why: &str| Why::Unchecked(why.into());
        let guards = judge(&Evidence { psnr: Err(unchecked("ffmpeg is not installed")), skew: Err(unchecked("nobody talks")), ..good() });
        assert!(broken(&guards).is_none());
        let notes: Vec<_> = guards.iter().filter(|guard| guard.held.is_none()).map(|guard| guard.note.as_str()).collect();
        assert_eq!(notes, ["ffmpeg is not installed", "nobody talks"]);
        assert!(guards[2].to_string().contains("unchecked (ffmpeg is not installed)"));
        let idle = Evidence { video: false, rests: true, beeps: Err(unchecked("nobody talks")), ..good() };
        for (fps, held) in [(Some((0.81, 1.1)), true), (Some((0.79, 1.1)), false), (None, false)] {
            let guards = judge(&Evidence { fps, ..idle.clone() });
            assert_eq!((guards[0].name, guards[0].held), ("pictures per second at rest", Some(held)), "{fps:?}");
        }
        let sound = judge(&Evidence { video: false, ..good() });
        assert_eq!(sound.iter().map(|guard| guard.name).collect::<Vec<_>>(), ["beeps heard per second", "audio packets missing"]);
        assert!(
            broken(&judge(&Evidence { video: false, audio_gaps: Some(500.0), beeps: Err(unchecked("nobody talks")), ..good() })).is_none()
        );
    }

    #[test]
    fn what_was_sent_and_could_not_be_read_breaks_its_guard_and_is_named() {
        let unread = |what: &str| Why::Unread(what.into());
        let faults = [
            ("PSNR of the composite", Evidence { psnr: Err(unread("no picture")), ..good() }),
            ("A/V skew", Evidence { skew: Err(unread("no picture")), ..good() }),
            ("beeps heard per second", Evidence { video: false, beeps: Err(unread("no picture")), ..good() }),
            ("beeps heard per second", Evidence { video: false, beeps: Ok(0.2), ..good() }),
        ];
        for (name, evidence) in faults {
            let guards = judge(&evidence);
            let guard = broken(&guards).unwrap();
            assert_eq!(guard.name, name);
            assert!(guard.value.is_some() || guard.to_string().ends_with("BROKEN (no picture)"), "{guard}");
        }
    }
}
