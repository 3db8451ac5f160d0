//! The files of participants' tracks in a recording's folder: while it runs, and what is made of them in the end.
//!
//! Names are numbered and ours. A journal has a line for each file that begins and for each gap, so that a dead process leaves what is
//! needed: [`conclude`] reads it, looks at each file and writes `tracks.json`, after a clean stop and after none.

use super::stage::Output;
use super::{Begun, Gap, Index, Stretch};
use crate::record::disk::{self, Disk, DiskFile};
use crate::record::mp4;
use crate::record::mp4::scan::{self, Found, Walk};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

pub const INDEX: &str = "tracks.json";
/// While the recording runs.
pub const JOURNAL: &str = "tracks.jsonl";
/// Gaps of one file that are told; the rest is counted in the last of them.
const MOST_GAPS: usize = 1000;

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begun(Begun),
    Gap { file: String, gap: Gap },
}

/// The open files of a recording that runs.
#[derive(Default)]
pub struct Files {
    open: BTreeMap<u32, Open>,
    journal: Option<Box<dyn DiskFile>>,
    dirty: bool,
}

struct Open {
    name: String,
    file: Box<dyn DiskFile>,
    dirty: bool,
    gaps: usize,
}

impl Files {
    /// Bytes that [`Files::write`] adds for an output at most.
    pub fn cost(output: &Output) -> u64 {
        match output {
            Output::Begin { head, .. } => head.len() as u64 + 1024,
            Output::Fragment { bytes, .. } => bytes.len() as u64,
            Output::Gap { .. } | Output::Close { .. } | Output::Broken(_) => 0,
        }
    }

    /// Gives the bytes written.
    pub fn write(&mut self, disk: &dyn Disk, output: &Output) -> io::Result<u64> {
        match output {
            Output::Begin { number, begun, head } => {
                let mut file = disk.create(&begun.file)?;
                file.append(head)?;
                let line = self.note(disk, &Line::Begun(begun.clone()))?;
                self.open.insert(*number, Open { name: begun.file.clone(), file, dirty: true, gaps: 0 });
                Ok(line + head.len() as u64)
            }
            Output::Fragment { number, bytes } => {
                let Some(open) = self.open.get_mut(number) else { return Ok(0) };
                open.file.append(bytes)?;
                open.dirty = true;
                Ok(bytes.len() as u64)
            }
            Output::Gap { number, gap } => {
                let Some(open) = self.open.get_mut(number).filter(|open| open.gaps < MOST_GAPS) else { return Ok(0) };
                open.gaps += 1;
                let file = open.name.clone();
                self.note(disk, &Line::Gap { file, gap: *gap })
            }
            Output::Close { number } => match self.open.remove(number) {
                Some(mut open) => open.file.sync().map(|()| 0),
                None => Ok(0),
            },
            Output::Broken(_) => Ok(0),
        }
    }

    /// Makes what was written survive a power cut.
    pub fn sync(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if let Some(journal) = self.journal.as_mut().filter(|_| std::mem::take(&mut self.dirty)) {
            journal.sync()?;
            disk.sync()?;
        }
        for open in self.open.values_mut() {
            if std::mem::take(&mut open.dirty) {
                open.file.sync()?;
            }
        }
        Ok(())
    }

    fn note(&mut self, disk: &dyn Disk, line: &Line) -> io::Result<u64> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            none => none.insert(disk.create(JOURNAL)?),
        };
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        journal.append(&text)?;
        self.dirty = true;
        Ok(text.len() as u64)
    }
}

/// What has been found in files that grow: they are looked at from there on.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, Found>);

/// The tracks as they are: of a recording that has ended, or so far.
pub fn list(disk: &dyn Disk, seen: &mut Seen) -> io::Result<Vec<Stretch>> {
    match known(disk)? {
        Known::Ended(tracks) => Ok(tracks),
        Known::Runs(begun) => begun.into_iter().filter_map(|(begun, gaps)| so_far(disk, begun, gaps, seen).transpose()).collect(),
    }
}

/// One of them; no other file is looked at.
pub fn find(disk: &dyn Disk, name: &str, seen: &mut Seen) -> io::Result<Option<Stretch>> {
    match known(disk)? {
        Known::Ended(tracks) => Ok(tracks.into_iter().find(|track| track.begun.file == name)),
        Known::Runs(begun) => match begun.into_iter().find(|(begun, _)| begun.file == name) {
            Some((begun, gaps)) => so_far(disk, begun, gaps, seen),
            None => Ok(None),
        },
    }
}

/// The files that have begun, and what is missing in each.
type Notes = Vec<(Begun, Vec<Gap>)>;

/// What a recording's folder says of its tracks.
enum Known {
    Ended(Vec<Stretch>),
    Runs(Notes),
}

fn known(disk: &dyn Disk) -> io::Result<Known> {
    if let Some(tracks) = index(disk)? {
        return Ok(Known::Ended(tracks));
    }
    Ok(match journal(disk)? {
        Some(begun) => Known::Runs(begun),
        // There is none yet, or none any more: it has ended between the two looks.
        None => Known::Ended(index(disk)?.unwrap_or_default()),
    })
}

/// Of a recording that has ended.
fn index(disk: &dyn Disk) -> io::Result<Option<Vec<Stretch>>> {
    match disk::read(disk, INDEX) {
        Ok(text) => Ok(Some(serde_json::from_slice::<Index>(&text).map_err(io::Error::from)?.tracks)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of all files that have begun in a recording that runs; in the order in which they did.
pub fn begun(disk: &dyn Disk) -> io::Result<Vec<String>> {
    Ok(journal(disk)?.into_iter().flatten().map(|(begun, _)| begun.file).collect())
}

/// Closes the files of a recording that has ended, however that was, and lists them in `tracks.json`. Does so once.
pub fn conclude(disk: &dyn Disk) -> io::Result<Vec<Stretch>> {
    if let Some(tracks) = index(disk)? {
        return Ok(tracks);
    }
    let mut tracks = Vec::new();
    for (begun, gaps) in journal(disk)?.into_iter().flatten() {
        tracks.extend(repair(disk, begun, gaps)?);
    }
    let index = Index { version: 1, tracks };
    disk::replace(disk, INDEX, &serde_json::to_vec_pretty(&index).unwrap_or_default())?;
    disk::remove_if_there(disk, JOURNAL)?;
    Ok(index.tracks)
}

/// When on the recording's clock the last of them ends, in milliseconds.
pub fn end_ms(tracks: &[Stretch]) -> u64 {
    tracks.iter().map(|track| (track.begun.offset_us + track.duration_us) / 1000).max().unwrap_or_default()
}

/// The files that have begun and what is missing in them, as noted while the recording runs. Looks into none of them.
/// `None`: nothing was noted, or it has ended.
fn journal(disk: &dyn Disk) -> io::Result<Option<Notes>> {
    let text = match disk::read(disk, JOURNAL) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (mut begun, mut gaps) = (Vec::new(), BTreeMap::<String, Vec<Gap>>::new());
    // The last line may be half written.
    for line in text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()) {
        match line {
            Line::Begun(line) => begun.push(line),
            Line::Gap { file, gap } => gaps.entry(file).or_default().push(gap),
        }
    }
    let with_gaps = |begun: Begun| {
        let gaps = gaps.remove(&begun.file).unwrap_or_default();
        (begun, gaps)
    };
    Ok(Some(begun.into_iter().map(with_gaps).collect()))
}

fn open(disk: &dyn Disk, begun: &Begun) -> io::Result<Option<Box<dyn DiskFile>>> {
    match disk.open(&begun.file) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file that may still grow; `None`: there is nothing in it yet.
fn so_far(disk: &dyn Disk, begun: Begun, gaps: Vec<Gap>, seen: &mut Seen) -> io::Result<Option<Stretch>> {
    let Some(file) = open(disk, &begun)? else { return Ok(None) };
    let walked = Walk::new(&*file).and_then(|walk| {
        let mut walk = match seen.0.remove(&begun.file) {
            Some(found) => walk.resume(found),
            None => walk,
        };
        while walk.next_fragment()?.is_some() {}
        Ok(walk.found)
    });
    match walked {
        Ok(found) => {
            seen.0.insert(begun.file.clone(), found.clone());
            Ok(stretch(begun, gaps, &found))
        }
        Err(mp4::Error::Io(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// A file that will not grow: what is torn at its end is cut off, and one without a unit is removed.
fn repair(disk: &dyn Disk, begun: Begun, gaps: Vec<Gap>) -> io::Result<Option<Stretch>> {
    let Some(mut file) = open(disk, &begun)? else { return Ok(None) };
    let found = match scan::scan(&*file) {
        Ok(found) if found.fragments > 0 => found,
        Err(mp4::Error::Io(error)) => return Err(error),
        Ok(_) | Err(_) => return disk.remove(&begun.file).map(|()| None),
    };
    if found.torn {
        file.truncate(found.end)?;
        file.sync()?;
    }
    Ok(stretch(begun, gaps, &found))
}

fn stretch(begun: Begun, mut gaps: Vec<Gap>, found: &Found) -> Option<Stretch> {
    if found.fragments == 0 {
        return None;
    }
    let end = begun.offset_us + super::micros(found.duration);
    gaps.retain(|gap| gap.to_us <= end);
    Some(Stretch { duration_us: super::micros(found.duration), bytes: found.end, units: found.pictures + found.packets, gaps, begun })
}
