//! The edge between the media plane and one output's task. Nobody waits on this side.
//!
//! It is a recording's [`Queue`] that is there while the output takes something: an output that is tried again later takes nothing meanwhile, and
//! then begins with a keyframe.

use crate::media::{AudioOut, VideoOut};
use crate::record::Need;
use crate::record::queue::{Item, Limits, Queue};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub struct Edge {
    limits: Limits,
    queue: Mutex<Option<Queue>>,
    /// Something has come.
    wake: Notify,
    keyframe: AtomicBool,
}

impl Edge {
    pub fn new(limits: Limits) -> Self {
        Self { limits, queue: Mutex::default(), wake: Notify::new(), keyframe: AtomicBool::new(false) }
    }

    /// From now on media are taken, from the next keyframe on.
    pub fn open(&self) {
        *self.queue() = Some(Queue::new(self.limits).counted_as(["egress_queue_video", "egress_queue_audio"]));
    }

    /// What waits is let go, and nothing more is taken.
    pub fn close(&self) {
        *self.queue() = None;
    }

    pub fn video(&self, picture: &VideoOut) -> Need {
        let need = self.queue().as_mut().map_or(Need::Nothing, |queue| queue.video(picture));
        self.wake.notify_one();
        need
    }

    pub fn audio(&self, packet: &AudioOut) {
        if let Some(queue) = self.queue().as_mut() {
            queue.audio(packet);
        }
        self.wake.notify_one();
    }

    pub fn pop(&self) -> Option<Item> {
        self.queue().as_mut().and_then(Queue::pop)
    }

    /// A picture could not be used: the next one must be a keyframe.
    pub fn break_off(&self) {
        if let Some(queue) = self.queue().as_mut() {
            queue.break_off();
        }
    }

    /// The other side asks for a keyframe.
    pub fn want_keyframe(&self) {
        self.keyframe.store(true, Ordering::Relaxed);
    }

    /// Whether it has asked since this was asked last.
    pub fn wants_keyframe(&self) -> bool {
        self.keyframe.swap(false, Ordering::Relaxed)
    }

    /// Until something has come since this was asked last.
    pub async fn filled(&self) {
        self.wake.notified().await;
    }

    fn queue(&self) -> MutexGuard<'_, Option<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
