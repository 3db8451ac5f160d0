//! What must hold for a figure to count: a server that drops pictures, blurs or stutters is cheap. Pure.

use serde::Serialize;

/// What one run showed of the quality of what was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Pictures were sent.
    pub video: bool,
    /// Frame rate of the slowest and the fastest viewer.
    pub fps: Option<(f64, f64)>,
    /// Share of ticks without a picture, of the worst viewer or as the server counts, in percent.
    pub missed: Option<f64>,
    /// 20 ms packets of sound that never came, of the worst viewer.
    pub audio_gaps: Option<f64>,
    /// How much later than its sound a picture is shown, in milliseconds; `Err`: why nobody can say.
    pub skew: Result<f64, &'static str>,
    /// PSNR of the composite and of what x264 makes of the same pictures at the same rate, in dB; `Err`: why it was not compared.
    pub psnr: Result<(f64, f64), String>,
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

impl Guard {
    fn of(name: &'static str, limit: impl Into<String>, value: Option<f64>, good: impl Fn(f64) -> bool) -> Self {
        // What should have come and did not is no excuse.
        let note = if value.is_none() { "nothing was received".into() } else { String::new() };
        Self { name, limit: limit.into(), value, held: Some(value.is_some_and(good)), note }
    }

    fn unchecked(name: &'static str, limit: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name, limit: limit.into(), value: None, held: None, note: note.into() }
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
            Err(why) => Guard::unchecked("PSNR of the composite", "x264 superfast − 0.3 dB", why),
        });
        guards.push(match evidence.skew {
            Ok(skew) => Guard::of("A/V skew", "≤ 40 ms", Some(skew), |skew| skew.abs() <= SKEW_MS),
            Err(why) => Guard::unchecked("A/V skew", "≤ 40 ms", why),
        });
    }
    guards.push(Guard::of("audio packets missing", "0", evidence.audio_gaps, |gaps| gaps == 0.0));
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
            fps: Some((29.9, 30.05)),
            missed: Some(0.1),
            audio_gaps: Some(0.0),
            skew: Ok(-12.0),
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
        let guards = judge(&Evidence { psnr: Err("ffmpeg is not installed".into()), skew: Err("nobody talks"), ..good() });
        assert!(broken(&guards).is_none());
        let unchecked: Vec<_> = guards.iter().filter(|guard| guard.held.is_none()).map(|guard| guard.note.as_str()).collect();
        assert_eq!(unchecked, ["ffmpeg is not installed", "nobody talks"]);
        assert!(guards[2].to_string().contains("unchecked (ffmpeg is not installed)"));
        let sound = judge(&Evidence { video: false, ..good() });
        assert_eq!(sound.iter().map(|guard| guard.name).collect::<Vec<_>>(), ["audio packets missing"]);
    }
}
