//! Stills on an interval: the composed picture as JPEG, encoded where nobody waits for it.

use super::driver::up;
use super::life::Reason;
use super::output::{Output, Work};
use mixdown_codecs::I420Frame;
use mixdown_layouts::draw::rgb::{Format, encode};
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;

pub async fn run(work: &Work, output: &Output) -> Reason {
    let taken = output.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut frames) = taken else { return Reason::InternalError };
    let reason = take(work, output, &mut frames).await;
    // For the next attempt.
    *output.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(frames);
    reason
}

/// Until one cannot be encoded.
async fn take(work: &Work, output: &Output, frames: &mut mpsc::Receiver<Arc<I420Frame>>) -> Reason {
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            () = work.stop().cancelled() => return Reason::Requested,
        };
        let Some(frame) = frame else { return Reason::InternalError };
        match tokio::task::spawn_blocking(move || encode(&frame, None, Format::Jpeg)).await {
            Ok(Ok(jpeg)) => {
                output.still_made(jpeg);
                up(work, output);
            }
            Ok(Err(error)) => {
                tracing::error!(egress = %work.egress.id, %error, "a still cannot be made");
                return Reason::InternalError;
            }
            Err(_) => return Reason::InternalError,
        }
    }
}
