//! Stills on an interval: the composed picture as JPEG, encoded where nobody waits for it.

use super::driver::up;
use super::life::Reason;
use super::output::{Output, Work};
use mixdown_layouts::draw::rgb::{Format, encode};
use std::sync::PoisonError;

pub async fn run(work: &Work, output: &Output) -> Reason {
    let taken = output.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut frames) = taken else { return Reason::InternalError };
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            () = work.stop().cancelled() => return Reason::Requested,
        };
        let Some(frame) = frame else { return Reason::InternalError };
        let encoded = tokio::task::spawn_blocking(move || encode(&frame, None, Format::Jpeg)).await;
        if let Ok(Ok(jpeg)) = encoded {
            output.still_made(jpeg);
            up(work, output);
        }
    }
}
