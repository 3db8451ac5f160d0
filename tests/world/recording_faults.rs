//! What may befall a recording: a file system that others fill, one without room for a file, a quota.

use crate::guest::Profile;
use crate::recordings::{new, studio};
use mixdown::client::Packet;
use mixdown::conference::Action;
use mixdown::conference::handle::{NewRecording, Refusal};
use mixdown::ids::Source;
use mixdown::record::mp4::scan;
use mixdown::record::tracks::Mode;
use mixdown::record::{Part, Reason, State};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A small file system of its own, gone when it is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `None`, with a printed reason: this user may not mount.
    fn mount(place: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(place).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(place).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(place.to_owned())),
            other => {
                println!("skipped: no file system can be mounted: {other:?}");
                None
            }
        }
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("somebody else's")).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("somebody else's")).expect("removed");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Files may be open still: it goes with the last of them.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A full decode by somebody else's decoder, where there is one.
pub fn plays(media: &Path) {
    let mut command = Command::new("ffmpeg");
    // By the file's own times: of a film of changing frame rates ffmpeg makes up one, in which two pictures can fall together.
    command.args(["-v", "error", "-xerror", "-i"]).arg(media).args(["-enc_time_base", "-1", "-f", "null", "-"]);
    match command.output() {
        Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skipped: ffmpeg cannot be run: {error}"),
    }
}

/// The one that floods has a connection like everybody; its packets pass the gates as far as its rate does.
#[test]
fn f7_a_recording_of_a_room_in_which_a_guest_floods_plays_and_is_in_step() {
    let second = Profile { sings_from: 3200, ..Profile::vp8(2) };
    let mut studio = studio(vec![Profile::new(1), second], |_| {});
    let id = studio.world.record(NewRecording { tracks: Mode::Both, ..new() }).unwrap();
    studio.world.run_ms(1000);
    let from = studio.world.now;
    for ms in 0..1000 {
        for n in 0..50 {
            let now = studio.world.now;
            let packet = Packet { source: Source::Microphone, data: vec![0x55; 60].into(), rtp_time: ms * 48 + n, level_dbov: None };
            studio.world.guests[0].peer.send_audio(now, &packet).unwrap();
        }
        studio.world.run_ms(1);
    }
    assert!(studio.world.quality(0, 1, from).share > 0.9, "the room goes on");
    studio.world.run_ms(1500);
    let film = studio.stop(id);
    assert_eq!((film.manifest.state, film.manifest.lost_pictures, film.manifest.lost_packets), (State::Complete, 0, 0));
    let other = studio.world.guests[1].id.unwrap();
    let (skew, frames) = (film.skew(2, other, 96), film.frames(other));
    assert!((-40..=40).contains(&skew), "sound comes {skew} ms after the picture");
    assert!(frames.len() > 80 && frames.is_sorted(), "{frames:?}");
    let folder = studio._folder.path().join("recordings").join(id.to_string());
    let tracks = studio.store.tracks(id).unwrap();
    let of_other: Vec<_> = tracks.iter().filter(|track| track.begun.participant == other).collect();
    assert!(of_other.len() == 2 && of_other.iter().all(|track| track.gaps.is_empty()), "{tracks:?}");
    let flood = tracks.iter().filter(|track| track.begun.participant != other && track.begun.codec == "opus");
    let flood: u64 = flood.map(|track| track.units).sum();
    println!("of 50000 packets {flood} came into a track");
    assert!(flood < 13_000, "the gate of a peer holds for what is recorded too: {flood}");
    // What the flood made up to be sound is none.
    of_other.iter().map(|track| track.begun.file.as_str()).chain(["media.mp4"]).for_each(|file| plays(&folder.join(file)));
    assert!(film.manifest.bytes() < 8 << 20, "{} bytes", film.manifest.bytes());
}

#[test]
fn f34_a_file_system_that_others_fill_ends_the_recording_whole_and_the_room_goes_on() {
    let (mut place, mut mounted) = (PathBuf::new(), None);
    let mut studio = studio(vec![Profile::new(1), Profile::vp8(2)], |settings| {
        place.clone_from(&settings.folder);
        mounted = Tmpfs::mount(&settings.folder, "size=6m");
    });
    let Some(disk) = mounted else { return };
    let id = studio.world.record(new()).unwrap();
    studio.world.run_ms(3000);
    // The writer is a thread in real time: it has to have come to the second fragment.
    let media = place.join(id.to_string()).join("media.mp4");
    while std::fs::metadata(&media).expect("media").len() < 40_000 {
        std::thread::yield_now();
    }
    disk.fill();
    let from = studio.world.now;
    studio.world.run_ms(2000);
    let told = studio.world.await_end(id);
    let last = told.last().unwrap();
    assert_eq!((last.kind, last.data["reason"].as_str()), ("recording.failed", Some("no_space")));
    for (viewer, shown) in [(0, 1), (1, 0)] {
        assert!(studio.world.quality(viewer, shown, from).share > 0.9, "the room goes on");
    }
    let manifest = studio.store.manifest(id).unwrap();
    assert_eq!((manifest.state, manifest.reason), (State::Failed, Some(Reason::NoSpace)));
    assert!(manifest.duration_ms >= 2000 && manifest.files.iter().any(|file| file.name == "timeline.json"), "{manifest:?}");
    plays(&media);
    let refused = studio.world.record(new());
    assert!(matches!(&refused, Err(Refusal::NoSpace(_))), "{refused:?}");
    disk.clear();
    let again = studio.world.record(new()).unwrap();
    studio.world.run_ms(2000);
    assert_eq!(studio.stop(again).manifest.state, State::Complete, "where there is space again, recordings are");
}

#[test]
fn f34_a_file_system_without_room_for_another_file_refuses_and_leaves_nothing_behind() {
    let mut mounted = None;
    // The root, the lock, a folder, and no more.
    let mut studio = studio(vec![Profile::new(1)], |settings| mounted = Tmpfs::mount(&settings.folder, "size=6m,nr_inodes=4"));
    let Some(_disk) = mounted else { return };
    let refused = studio.world.record(new());
    assert!(matches!(&refused, Err(Refusal::NoSpace(_))), "{refused:?}");
    assert!(studio.store.list().unwrap().is_empty());
}

#[test]
fn f34_a_quota_ends_the_recording_whole_and_gives_its_place_to_the_next_after_a_deletion() {
    let mut studio = studio(vec![Profile::new(1)], |settings| settings.max_bytes = (1 << 20) + 60_000);
    let id = studio.world.record(new()).unwrap();
    let mut told = Vec::new();
    while told.is_empty() {
        studio.world.run_ms(1000);
        told = studio.world.take_events().into_iter().filter(|kind| *kind == "recording.failed").collect();
        assert!(studio.world.at() < Duration::from_secs(120), "60 kB last that long");
    }
    let manifest = studio.store.manifest(id).unwrap();
    assert_eq!((manifest.state, manifest.reason), (State::Failed, Some(Reason::Quota)));
    assert!(studio.store.bytes() <= (1 << 20) + 60_000 && manifest.duration_ms > 500, "{manifest:?}");
    let mut media = Vec::new();
    studio.store.reader(id, Part::Media).unwrap().read_to_end(&mut media).unwrap();
    assert!(!scan::scan(media.as_slice()).unwrap().torn);
    assert!(matches!(studio.world.record(new()), Err(Refusal::NoSpace(_))));
    studio.store.delete(id).unwrap();
    let next = studio.world.record(new()).unwrap();
    studio.world.run_ms(1000);
    assert!(studio.world.act(next, Action::Stop).is_ok());
}
