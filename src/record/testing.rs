//! Disks that misbehave, and media as a room makes them.

use super::disk::{Disk, DiskFile, Space};
use super::mp4::Bytes;
use super::mp4::fixtures::{LARGE_H264, LARGE_VP8, SOUND, is_keyframe, units};
use crate::media::{AudioOut, VideoOut};
use mixdown_codecs::{AudioCodec, VideoCodec};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex};

/// The picture of a tick, 30 per second: keyframes at every 45th.
pub fn picture(tick: u64) -> VideoOut {
    thread_local!(static PICTURES: Vec<&'static [u8]> = units(LARGE_H264));
    let data = PICTURES.with(|pictures| pictures[tick as usize % pictures.len()]);
    coded(VideoCodec::H264, data, tick)
}

/// The same in VP8.
pub fn vp8_picture(tick: u64) -> VideoOut {
    let pictures = units(LARGE_VP8);
    coded(VideoCodec::Vp8, pictures[tick as usize % pictures.len()], tick)
}

pub fn coded(codec: VideoCodec, data: &[u8], tick: u64) -> VideoOut {
    let keyframe = is_keyframe(data, codec == VideoCodec::Vp8);
    VideoOut { codec, data: data.into(), keyframe, layer: 0, rtp_time: tick * 3000, wallclock: crate::runtime::clock::now() }
}

/// The packet of a tick of 20 ms.
pub fn packet(tick: u64) -> AudioOut {
    thread_local!(static PACKETS: Vec<&'static [u8]> = units(SOUND));
    let data = PACKETS.with(|packets| packets[tick as usize % packets.len()]);
    AudioOut { codec: AudioCodec::Opus, data: data.into(), rtp_time: tick * 960, wallclock: crate::runtime::clock::now() }
}

/// What a room makes from one time to another, in milliseconds, in the order in which it comes: sound before the picture of its time.
pub enum Medium {
    Picture(u64),
    Packet(u64),
}

pub fn media(from_ms: u64, to_ms: u64) -> Vec<Medium> {
    let pictures = ((from_ms * 30).div_ceil(1000)..(to_ms * 30).div_ceil(1000)).map(|tick| (tick * 1000 / 30 + 15, Medium::Picture(tick)));
    let packets = (from_ms.div_ceil(20)..to_ms.div_ceil(20)).map(|tick| (tick * 20, Medium::Packet(tick)));
    let mut all: Vec<_> = pictures.chain(packets).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, medium)| medium).collect()
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct Fake(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Vec<u8>>>>,
    /// Bytes that fit; 0: all.
    capacity: usize,
    /// As `capacity`, but [`Disk::space`] does not know it.
    unseen: usize,
    /// Every operation that writes fails so.
    fault: Option<io::ErrorKind>,
    /// Writers wait until it is open again.
    stalled: bool,
    waiting: usize,
    syncs: usize,
    /// Bytes.
    read: usize,
}

impl State {
    fn used(&self) -> usize {
        self.files.values().map(|file| file.lock().unwrap().len()).sum()
    }
}

impl Fake {
    pub fn with_capacity(capacity: usize) -> Self {
        let fake = Self::default();
        fake.set_capacity(capacity);
        fake
    }

    pub fn set_capacity(&self, capacity: usize) {
        self.0.0.lock().unwrap().capacity = capacity;
    }

    pub fn set_capacity_unseen(&self, capacity: usize) {
        self.0.0.lock().unwrap().unseen = capacity;
    }

    pub fn break_with(&self, fault: Option<io::ErrorKind>) {
        self.0.0.lock().unwrap().fault = fault;
    }

    pub fn stall(&self, stalled: bool) {
        self.0.0.lock().unwrap().stalled = stalled;
        self.0.1.notify_all();
    }

    /// Waits until somebody waits for the disk.
    pub fn wait_for_a_waiter(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.waiting == 0).unwrap());
    }

    pub fn syncs(&self) -> usize {
        self.0.0.lock().unwrap().syncs
    }

    /// Bytes that were read so far.
    pub fn read(&self) -> usize {
        self.0.0.lock().unwrap().read
    }

    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        Some(self.0.0.lock().unwrap().files.get(name)?.lock().unwrap().clone())
    }

    pub fn names(&self) -> Vec<String> {
        self.0.0.lock().unwrap().files.keys().cloned().collect()
    }

    /// As a process that is killed here leaves it, with the end of a file cut off.
    pub fn killed(&self, name: &str, length: usize) -> Self {
        let state = self.0.0.lock().unwrap();
        let copy = |file: &Arc<Mutex<Vec<u8>>>| Arc::new(Mutex::new(file.lock().unwrap().clone()));
        let files: BTreeMap<_, _> = state.files.iter().map(|(name, file)| (name.clone(), copy(file))).collect();
        if let Some(file) = files.get(name) {
            file.lock().unwrap().truncate(length);
        }
        Self(Arc::new((Mutex::new(State { files, ..State::default() }), Condvar::new())))
    }

    fn check(&self) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.0.0.lock().unwrap();
        if state.stalled {
            state.waiting += 1;
            self.0.1.notify_all();
            state = self.0.1.wait_while(state, |state| state.stalled).unwrap();
            state.waiting -= 1;
        }
        match state.fault {
            Some(fault) => Err(fault.into()),
            None => Ok(state),
        }
    }

    fn handle(&self, file: &Arc<Mutex<Vec<u8>>>) -> Box<dyn DiskFile> {
        Box::new(FakeFile { disk: self.clone(), file: Arc::clone(file) })
    }
}

impl Disk for Fake {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.check()?;
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::default();
        state.files.insert(name.to_owned(), Arc::clone(&file));
        Ok(self.handle(&file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.0.0.lock().unwrap();
        Ok(self.handle(state.files.get(name).ok_or(io::ErrorKind::NotFound)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.check()?;
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check()?.files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.check().map(drop)
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.0.0.lock().unwrap();
        let total = if state.capacity == 0 { 1 << 40 } else { state.capacity };
        Ok(Space { free: total.saturating_sub(state.used()) as u64, total: total as u64 })
    }
}

struct FakeFile {
    disk: Fake,
    file: Arc<Mutex<Vec<u8>>>,
}

impl Bytes for FakeFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.lock().unwrap().len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.0.0.lock().unwrap().read += buffer.len();
        self.file.lock().unwrap().as_slice().read_at(buffer, at)
    }
}

impl DiskFile for FakeFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = self.disk.check()?;
        let limit = [state.capacity, state.unseen].into_iter().filter(|limit| *limit > 0).min();
        let free = limit.map_or(usize::MAX, |limit| limit.saturating_sub(state.used()));
        // Like a real one it writes as much as fits.
        let fits = bytes.len().min(free);
        self.file.lock().unwrap().extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.check()?.syncs += 1;
        Ok(())
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.append(&vec![0; bytes as usize])
    }
}
