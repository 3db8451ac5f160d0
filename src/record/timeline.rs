//! What happened while a recording ran, beside the media: who came and went, who spoke, how people stood in the
//! picture, chat, pauses, gaps.
//!
//! While it runs, each event is a line of JSON in a journal, so that none is lost with the process. A closed recording has
//! `timeline.json` (all events, and speakers' turns, pauses and gaps made out of them) and `chapters.vtt` (WebVTT, a cue for
//! each turn). All times are milliseconds of the media, as a player shows them; `wall` is the clock on the wall.
//!
//! Flow: [`Line`]s → [`write()`] → journal → [`read()`] → [`Timeline`] → [`Timeline::json`], [`Timeline::chapters`].

use super::mp4::Kind;
use crate::ids::ParticipantId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A turn that is shorter belongs to the chapter before.
const SHORTEST_CHAPTER_MS: u64 = 2000;
/// Bytes of a name or a line of chat that are kept; longer ones are cut.
pub const MOST_TEXT: usize = 4096;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TimelineEvent {
    /// The first picture.
    Started,
    Joined {
        participant: ParticipantId,
        name: String,
    },
    Renamed {
        participant: ParticipantId,
        name: String,
    },
    Left {
        participant: ParticipantId,
    },
    /// Who is the active speaker from now on; `None`: nobody.
    Speaker {
        participant: Option<ParticipantId>,
    },
    /// Who stands where from now on: the tile map, as on the data channel.
    Layout {
        state: serde_json::Value,
    },
    Chat {
        participant: Option<ParticipantId>,
        name: String,
        text: String,
    },
    /// What is played into the room, and where it stands, as `/v1/ingress/{id}` shows it, but for addresses: it has no track of its own.
    Ingress {
        state: serde_json::Value,
    },
    Paused {
        mode: PauseMode,
    },
    Resumed,
    /// Something was lost between media and disk; the picture stands, the sound is silent.
    Gap {
        track: Kind,
        from_ms: u64,
        to_ms: u64,
        /// Pictures or packets.
        lost: u64,
    },
    Stopped {
        reason: String,
    },
}

/// What a pause does to the media: `cut` leaves its time out; with `slate` time goes on, over a still picture and silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseMode {
    /// The time of the pause is left out; what comes after follows at once.
    Cut,
    /// Time goes on; a still picture and silence fill it.
    Slate,
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Media time.
    pub at_ms: u64,
    /// RFC 3339, UTC.
    pub wall: String,
    #[serde(flatten)]
    pub event: TimelineEvent,
}

/// The line's bytes, with its end.
pub fn write(line: &Line) -> Vec<u8> {
    let mut line = line.clone();
    cut_texts(&mut line.event);
    // Maps with text keys: this does not fail.
    let mut text = serde_json::to_vec(&line).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The lines of a journal, and how many of its lines are none: the last may be half written.
pub fn read(journal: &[u8]) -> (Vec<Line>, usize) {
    let (mut lines, mut broken) = (Vec::new(), 0);
    for line in journal.split_inclusive(|byte| *byte == b'\n').filter(|line| *line != b"\n") {
        match serde_json::from_slice(line) {
            Ok(read) if line.ends_with(b"\n") => lines.push(read),
            _ => broken += 1,
        }
    }
    (lines, broken)
}

fn cut_texts(event: &mut TimelineEvent) {
    let cut = |text: &mut String| text.truncate(text.floor_char_boundary(MOST_TEXT));
    match event {
        TimelineEvent::Joined { name, .. } | TimelineEvent::Renamed { name, .. } => cut(name),
        TimelineEvent::Chat { name, text, .. } => {
            cut(name);
            cut(text);
        }
        _ => {}
    }
}

/// A closed recording's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    pub version: u32,
    pub duration_ms: u64,
    /// Who spoke, one after another, without overlap.
    pub turns: Vec<Turn>,
    pub pauses: Vec<Pause>,
    pub gaps: Vec<Gap>,
    pub events: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub participant: ParticipantId,
    /// The latest known.
    pub name: String,
    pub from_ms: u64,
    pub to_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub mode: PauseMode,
    pub from_ms: u64,
    /// Equal to `from_ms` where the pause was cut out.
    pub to_ms: u64,
    pub from_wall: String,
    /// `None`: it lasted to the end.
    pub to_wall: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub track: Kind,
    pub from_ms: u64,
    pub to_ms: u64,
    pub lost: u64,
}

impl Timeline {
    /// `duration_ms`: of the media as they are in the file; later times are drawn back to it.
    pub fn new(mut events: Vec<Line>, duration_ms: u64) -> Self {
        for line in &mut events {
            line.at_ms = line.at_ms.min(duration_ms);
        }
        let (turns, pauses, gaps) = (turns(&events, duration_ms), pauses(&events, duration_ms), gaps(&events));
        Self { version: 1, duration_ms, turns, pauses, gaps, events }
    }

    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// WebVTT chapters: one cue for each speaker's turn; turns of a moment belong to the chapter before.
    pub fn chapters(&self) -> String {
        let mut chapters: Vec<Turn> = Vec::new();
        for turn in &self.turns {
            let short = turn.to_ms - turn.from_ms < SHORTEST_CHAPTER_MS;
            match chapters.last_mut() {
                Some(last) if short || last.participant == turn.participant => last.to_ms = turn.to_ms,
                _ => chapters.push(turn.clone()),
            }
        }
        let cues = chapters.iter().filter(|chapter| chapter.to_ms > chapter.from_ms).enumerate().map(|(number, chapter)| {
            format!("\n{}\n{} --> {}\n{}\n", number + 1, stamp(chapter.from_ms), stamp(chapter.to_ms), cue_text(&chapter.name))
        });
        "WEBVTT\n".chars().chain(cues.collect::<String>().chars()).collect()
    }
}

fn turns(events: &[Line], duration_ms: u64) -> Vec<Turn> {
    let mut names: BTreeMap<ParticipantId, String> = BTreeMap::new();
    let mut turns: Vec<Turn> = Vec::new();
    let mut speaking: Option<(ParticipantId, u64)> = None;
    let end = |speaking: Option<(ParticipantId, u64)>, to_ms: u64, turns: &mut Vec<Turn>| {
        if let Some((participant, from_ms)) = speaking.filter(|(_, from_ms)| *from_ms < to_ms) {
            turns.push(Turn { participant, name: String::new(), from_ms, to_ms });
        }
    };
    for line in events {
        match &line.event {
            TimelineEvent::Joined { participant, name } | TimelineEvent::Renamed { participant, name } => {
                names.insert(*participant, name.clone());
            }
            TimelineEvent::Left { participant } if speaking.is_some_and(|(speaker, _)| speaker == *participant) => {
                end(speaking.take(), line.at_ms, &mut turns);
            }
            TimelineEvent::Speaker { participant } if speaking.map(|(speaker, _)| speaker) != *participant => {
                end(speaking.take(), line.at_ms, &mut turns);
                speaking = participant.map(|participant| (participant, line.at_ms));
            }
            _ => {}
        }
    }
    end(speaking, duration_ms, &mut turns);
    for turn in &mut turns {
        turn.name = names.get(&turn.participant).cloned().unwrap_or_default();
    }
    turns
}

fn pauses(events: &[Line], duration_ms: u64) -> Vec<Pause> {
    let mut pauses: Vec<Pause> = Vec::new();
    let mut open = false;
    for line in events {
        match (&line.event, pauses.last_mut()) {
            (TimelineEvent::Paused { mode }, _) if !open => {
                let to_ms = if *mode == PauseMode::Cut { line.at_ms } else { duration_ms };
                pauses.push(Pause { mode: *mode, from_ms: line.at_ms, to_ms, from_wall: line.wall.clone(), to_wall: None });
                open = true;
            }
            (TimelineEvent::Resumed, Some(pause)) if open => {
                (pause.to_ms, pause.to_wall) = (line.at_ms.max(pause.from_ms), Some(line.wall.clone()));
                open = false;
            }
            _ => {}
        }
    }
    pauses
}

fn gaps(events: &[Line]) -> Vec<Gap> {
    let gap = |line: &Line| match line.event {
        TimelineEvent::Gap { track, from_ms, to_ms, lost } => Some(Gap { track, from_ms, to_ms, lost }),
        _ => None,
    };
    events.iter().filter_map(gap).collect()
}

/// `hh:mm:ss.ttt`
fn stamp(ms: u64) -> String {
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// One line that no parser takes for anything but text.
fn cue_text(name: &str) -> String {
    let plain: String = name.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let text = plain.trim().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if text.is_empty() { "?".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ParticipantId = ParticipantId(1);
    const BOB: ParticipantId = ParticipantId(2);

    fn line(at_ms: u64, event: TimelineEvent) -> Line {
        Line { at_ms, wall: format!("wall {at_ms}"), event }
    }

    fn speaks(at_ms: u64, participant: Option<ParticipantId>) -> Line {
        line(at_ms, TimelineEvent::Speaker { participant })
    }

    fn meeting() -> Vec<Line> {
        vec![
            line(0, TimelineEvent::Joined { participant: ANN, name: "Ann".into() }),
            line(0, TimelineEvent::Started),
            speaks(500, Some(ANN)),
            line(1000, TimelineEvent::Joined { participant: BOB, name: "Bob & <i>Co</i>\n-->".into() }),
            speaks(4000, Some(BOB)),
            speaks(4500, Some(ANN)),
            speaks(4600, Some(ANN)),
            line(6000, TimelineEvent::Chat { participant: Some(BOB), name: "Bob".into(), text: "ä\n✓".into() }),
            line(7000, TimelineEvent::Paused { mode: PauseMode::Cut }),
            line(7000, TimelineEvent::Resumed),
            speaks(8000, Some(BOB)),
            line(9000, TimelineEvent::Gap { track: Kind::Video, from_ms: 8500, to_ms: 9000, lost: 15 }),
            line(11_000, TimelineEvent::Left { participant: BOB }),
            line(12_000, TimelineEvent::Paused { mode: PauseMode::Slate }),
            speaks(15_000, Some(ANN)),
        ]
    }

    #[test]
    fn a_journal_cut_anywhere_gives_the_lines_before_the_cut() {
        let texts: Vec<Vec<u8>> = meeting().iter().map(write).collect();
        let journal = texts.concat();
        assert_eq!(read(&journal), (meeting(), 0));
        for cut in 0..journal.len() {
            let mut whole = 0;
            let count = texts.iter().take_while(|text| {
                whole += text.len();
                whole <= cut
            });
            let count = count.count();
            let (lines, _) = read(&journal[..cut]);
            assert_eq!(lines, meeting()[..count], "cut at {cut}");
        }
    }

    #[test]
    fn turns_follow_one_another_and_end_with_whoever_leaves() {
        let timeline = Timeline::new(meeting(), 14_000);
        let turns: Vec<_> = timeline.turns.iter().map(|turn| (turn.participant, turn.from_ms, turn.to_ms)).collect();
        assert_eq!(turns, [(ANN, 500, 4000), (BOB, 4000, 4500), (ANN, 4500, 8000), (BOB, 8000, 11_000)]);
        assert_eq!(timeline.gaps, [Gap { track: Kind::Video, from_ms: 8500, to_ms: 9000, lost: 15 }]);
    }

    #[test]
    fn a_pause_that_is_cut_out_takes_no_time_and_one_without_an_end_lasts_to_the_end() {
        let pauses = Timeline::new(meeting(), 14_000).pauses;
        assert_eq!((pauses[0].from_ms, pauses[0].to_ms, pauses[0].to_wall.as_deref()), (7000, 7000, Some("wall 7000")));
        assert_eq!((pauses[1].from_ms, pauses[1].to_ms, &pauses[1].to_wall), (12_000, 14_000, &None));
    }

    #[test]
    fn chapters_leave_moments_out_and_names_are_text_alone() {
        let chapters = Timeline::new(meeting(), 14_000).chapters();
        let expected =
            "WEBVTT\n\n1\n00:00:00.500 --> 00:00:08.000\nAnn\n\n2\n00:00:08.000 --> 00:00:11.000\nBob &amp; &lt;i&gt;Co&lt;/i&gt; --&gt;\n";
        assert_eq!(chapters, expected);
        assert_eq!(stamp(36_000_000 * 10 + 61_001), "100:01:01.001");
    }

    #[test]
    fn the_timeline_reads_back_and_ends_with_the_media() {
        let timeline = Timeline::new(meeting(), 10_000);
        assert_eq!(serde_json::from_slice::<Timeline>(&timeline.json()).unwrap(), timeline);
        assert!(timeline.events.iter().all(|line| line.at_ms <= 10_000));
        assert_eq!(timeline.turns.last().unwrap().to_ms, 10_000);
    }

    #[test]
    fn texts_without_end_are_cut_between_characters() {
        let text = "ü".repeat(MOST_TEXT);
        let written = write(&line(0, TimelineEvent::Chat { participant: None, name: text.clone(), text }));
        let (lines, broken) = read(&written);
        let TimelineEvent::Chat { text, .. } = &lines[0].event else { panic!("{lines:?}") };
        assert_eq!((text.len(), broken), (MOST_TEXT, 0));
    }
}
