//! What may be played into rooms, and what that may cost.

use super::check::Faults;
use crate::ingress;
use mixdown_codecs::Size;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingress {
    /// The ffmpeg that fetches and decodes: a name that is looked for in PATH, or a path.
    pub ffmpeg: String,
    /// Where files come from; empty: none are played.
    pub folder: PathBuf,
    /// Whether URLs are played, and whether also from this machine and its network.
    pub urls: bool,
    pub allow_private_networks: bool,
    /// Pictures are scaled down to fit, and left out beyond this rate.
    pub max_width: u32,
    pub max_height: u32,
    pub max_fps: u32,
    /// The largest picture that is decoded, in luma pixels.
    pub max_pixels: u32,
    /// Of each ffmpeg.
    pub threads: u32,
    pub memory_bytes: u64,
    /// What says nothing for so long is ended, and what breaks off is tried again for so long.
    pub stall_timeout_ms: u64,
    pub retry_ms: u64,
    /// At the same time, in one room and on this server.
    pub max_per_room: u32,
    pub max: u32,
}

impl Default for Ingress {
    fn default() -> Self {
        let ingress::Settings { ffmpeg, urls, private, size, fps, max_pixels, threads, memory_bytes, .. } = ingress::Settings::default();
        Self {
            ffmpeg,
            folder: PathBuf::new(),
            urls,
            allow_private_networks: private,
            max_width: size.width,
            max_height: size.height,
            max_fps: fps,
            max_pixels,
            threads,
            memory_bytes,
            stall_timeout_ms: 10_000,
            retry_ms: 120_000,
            max_per_room: 8,
            max: 32,
        }
    }
}

impl Ingress {
    pub fn settings(&self) -> ingress::Settings {
        ingress::Settings {
            ffmpeg: self.ffmpeg.clone(),
            folder: self.folder().cloned(),
            urls: self.urls,
            private: self.allow_private_networks,
            size: Size::new(self.max_width, self.max_height),
            fps: self.max_fps,
            max_pixels: self.max_pixels,
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            stall: Duration::from_millis(self.stall_timeout_ms),
            retry: Duration::from_millis(self.retry_ms),
            max_per_room: self.max_per_room as usize,
            max: self.max as usize,
        }
    }

    fn folder(&self) -> Option<&PathBuf> {
        Some(&self.folder).filter(|folder| !folder.as_os_str().is_empty())
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        if let Some(folder) = self.folder().filter(|folder| !folder.is_dir()) {
            faults.add("ingress.folder", format!("{} is not a folder", folder.display()), "make it, or leave it empty");
        }
        if self.ffmpeg.is_empty() {
            faults.add("ingress.ffmpeg", "is empty", "write ffmpeg, or the path of one");
        }
        for (key, side) in [("ingress.max_width", self.max_width), ("ingress.max_height", self.max_height)] {
            faults.range(key, side, 64..=3840);
            if side % 2 != 0 {
                faults.add(key, format!("{side} is odd"), "write an even number");
            }
        }
        faults.range("ingress.max_fps", self.max_fps, 1..=60);
        faults.range("ingress.max_pixels", self.max_pixels, 128 * 96..=8192 * 4320);
        faults.range("ingress.threads", self.threads, 1..=16);
        faults.range("ingress.memory_bytes", self.memory_bytes, 256 << 20..=64 << 30);
        faults.range("ingress.stall_timeout_ms", self.stall_timeout_ms, 1000..=120_000);
        faults.range("ingress.retry_ms", self.retry_ms, 0..=86_400_000);
        faults.range("ingress.max_per_room", self.max_per_room, 0..=64);
        faults.range("ingress.max", self.max, 0..=1000);
    }
}
