//! A long recording on the virtual clock, of people whose clocks go wrong.

use crate::content::{self, loudness, tone};
use crate::guest::Profile;
use crate::recordings::{Studio, new, studio, unreel};
use mixdown::conference::Action;
use mixdown::conference::handle::Request;
use mixdown::ids::RecordingId;
use mixdown::record::{Part, State, TimelineEvent};
use mixdown::room::model::{Canvas, RoomPatch};
use mixdown_codecs::{AudioCodec, I420Frame, Size};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// Few pictures, for the time that they take: when each of them is due is known all the same.
const FPS: u32 = 5;
const SIZE: (u32, u32) = (320, 180);
/// Who sings once in so many seconds.
const ROUND_S: u64 = 30;
/// Two whose tones cannot be mistaken, and how wrong their clocks go.
const CLOCKS: [(u8, f64); 2] = [(1, 200.0), (12, -200.0)];

/// What a film says of one person, in milliseconds.
#[derive(Default)]
struct Seen {
    /// When the film shows a picture, less when its sender took it.
    pictures: Vec<(u64, i64)>,
    /// When a song begins in the film.
    songs: Vec<u64>,
    frames: u64,
}

/// F26. Two hours by MIXDOWN_TEST_RECORDED_S=7200. Four minutes are enough to see whether clocks are followed, at twice what crystals go wrong: else
/// sound would be 48 ms away from the picture by then.
#[test]
fn f26_picture_and_sound_of_a_long_recording_stay_together_whatever_the_clocks_do() {
    let seconds = std::env::var("MIXDOWN_TEST_RECORDED_S").ok().and_then(|text| text.parse().ok()).unwrap_or(240);
    let profile = |(person, drift_ppm): (u8, f64)| Profile {
        drift_ppm,
        size: Size::new(160, 90),
        fps: FPS,
        audio: AudioCodec::Pcmu,
        watches: false,
        looks: false,
        sings_from: u64::MAX,
        ..Profile::new(person)
    };
    let mut studio = studio(CLOCKS.map(profile).into(), |settings| settings.progressive = false);
    let canvas = Canvas { width: SIZE.0, height: SIZE.1, fps: FPS, ..Canvas::default() };
    let patch = RoomPatch { canvas: Some(canvas), ..RoomPatch::default() };
    studio.world.ask(|reply| Request::PatchRoom { patch: Box::new(patch), if_match: None, reply }).unwrap();
    let id = studio.world.record(new()).unwrap();
    // When each song begins, on the world's clock.
    let mut sung: [Vec<f64>; 2] = Default::default();
    for _ in 0..seconds / ROUND_S {
        let now = studio.world.at().as_millis() as u64;
        for (guest, (_, ppm)) in CLOCKS.into_iter().enumerate() {
            let from = (now + (guest as u64 + 1) * ROUND_S * 1000 / 3) / 20 * 20;
            let profile = &mut studio.world.guests[guest].profile;
            (profile.sings_from, profile.sings_to) = (from, from + 200);
            sung[guest].push(from as f64 / (1.0 + ppm * 1e-6));
        }
        studio.world.run_ms(ROUND_S * 1000);
    }
    assert_eq!(studio.world.act(id, Action::Stop), Ok(State::Stopping));
    studio.world.await_end(id);
    let manifest = studio.store.manifest(id).unwrap();
    assert!(
        manifest.duration_ms.abs_diff(seconds * 1000) < 1000 && manifest.lost_pictures == 0 && manifest.lost_packets == 0,
        "{manifest:?}"
    );
    for ((person, ppm), (seen, sung)) in CLOCKS.into_iter().zip(watch(&studio, id).into_iter().zip(sung)) {
        assert_eq!(seen.songs.len(), sung.len(), "{person} sings once a round: {:?}", seen.songs);
        let skews: Vec<i64> = seen.songs.iter().zip(sung).map(|(heard, sung)| skew(&seen, *heard, sung)).collect();
        // The way of sound gets shorter once it is known how regularly packets come.
        let settled = &skews[1..];
        let (least, most) = (settled.iter().min().unwrap(), settled.iter().max().unwrap());
        println!(
            "{person}, {ppm} ppm: sound moves by {} ms against the picture, from {} ms in the beginning to {least}",
            most - least,
            skews[0]
        );
        // Clocks are followed in steps of 20 ms.
        assert!(most - least <= 25 && most.abs_diff(skews[0]) <= 40, "{person} at {ppm} ppm: {skews:?}");
    }
}

/// How much later the song comes in the film than its sender's pictures of that time do.
fn skew(seen: &Seen, heard: u64, sung: f64) -> i64 {
    let mut late: Vec<i64> = seen.pictures.iter().filter(|(at, _)| at.abs_diff(heard) < 2000).map(|(_, late)| *late).collect();
    late.sort_unstable();
    heard as i64 - sung.round() as i64 - late[late.len() / 2]
}

fn watch(studio: &Studio, id: RecordingId) -> Vec<Seen> {
    let mut bytes = Vec::new();
    studio.store.reader(id, Part::Media).unwrap().read_to_end(&mut bytes).unwrap();
    let timeline = studio.store.timeline(id).unwrap();
    let mut states =
        timeline.events.iter().filter_map(|line| if let TimelineEvent::Layout { state } = &line.event { Some(state) } else { None });
    let tiles = states.next_back().unwrap()["tiles"].as_array().unwrap();
    let side = |tile: &serde_json::Value, key: &str, length: u32| (tile[key].as_f64().unwrap() * f64::from(length)).round() as usize;
    let areas: Vec<content::Area> = tiles
        .iter()
        .map(|tile| (side(tile, "x", SIZE.0), side(tile, "y", SIZE.1), side(tile, "width", SIZE.0), side(tile, "height", SIZE.1)))
        .collect();
    let mut seen: BTreeMap<u8, Seen> = CLOCKS.into_iter().map(|(person, _)| (person, Seen::default())).collect();
    let mut heard = seen.keys().map(|person| (*person, Vec::new())).collect::<BTreeMap<_, _>>();
    let mut picture = |ms: u64, frame: Arc<I420Frame>| {
        for code in areas.iter().filter_map(|area| content::read(&frame, *area)) {
            let seen = seen.get_mut(&code.person).expect("one of the two");
            // Numbers begin anew at 4096, and never go back.
            let step = u64::from(code.frame.wrapping_sub(seen.frames as u16) & 4095);
            assert!(step < 2048, "in order");
            seen.frames += step;
            if step > 0 {
                seen.pictures.push((ms, ms as i64 - (seen.frames * 1000 / u64::from(FPS)) as i64));
            }
        }
    };
    let mut sound = |at: u64, samples: &[f32]| {
        for (person, songs) in &mut heard {
            for (n, part) in samples.chunks(480).enumerate() {
                let ms = at / 48 + n as u64 * 5;
                if loudness(part, tone(*person)) > 0.1 && songs.last().is_none_or(|(_, last)| ms > last + 1000) {
                    songs.push((ms, ms));
                } else if loudness(part, tone(*person)) > 0.1 {
                    songs.last_mut().expect("one").1 = ms;
                }
            }
        }
    };
    unreel(&bytes, &mut picture, &mut sound);
    for (person, seen) in &mut seen {
        seen.songs = heard[person].iter().map(|(begin, _)| *begin).collect();
    }
    seen.into_values().collect()
}
