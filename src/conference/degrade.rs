//! What is given up in this room where the server is overloaded.

use super::Conference;
use crate::overload::Step;
use std::time::{Instant, SystemTime};

impl Conference {
    /// Gives up as much as this step says, at once, and tells the world.
    pub fn degrade(&mut self, now: Instant, wall: SystemTime, step: Step) {
        (self.now, self.wall) = (now, wall);
        if self.room.step() == step {
            return;
        }
        self.room.degrade(step);
        if step >= Step::FewTiles {
            for track in std::mem::take(&mut self.lingering).into_keys() {
                self.unwanted(track);
            }
        }
        let kind = if step == Step::Whole { "server.recovered" } else { "server.overloaded" };
        let detail = step.to_string();
        self.publish(kind, serde_json::json!({"step": step.number(), "effect": step.name(), "detail": detail}));
        self.settle();
    }
}
