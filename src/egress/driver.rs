//! The task of one output: try, wait, try again, until it is ended or given up.

use super::hls::{LONGEST, Taken};
use super::life::{Reason, State};
use super::mux::{self, Mux};
use super::output::{Output, Work};
use super::target::Target;
use super::{images, rtmp, whip};
use crate::runtime::clock;
use std::sync::Arc;
use std::time::Duration;

/// How often what has come is looked at. Waking for every packet would cost more than all else that is done with it.
pub const PERIOD: Duration = Duration::from_millis(100);

/// From the first attempt to the end.
pub async fn live(work: Arc<Work>) {
    let inner = tokio::spawn(run(Arc::clone(&work)));
    let Some(output) = work.output() else { return };
    if inner.await.is_err() {
        metrics::counter!("mixdown_panics_total", "unit" => "egress").increment(1);
        output.end(State::Failed, Reason::InternalError);
    }
    output.edge.close();
    let state = if output.state() == State::Complete { "complete" } else { "failed" };
    metrics::counter!("mixdown_egress_outputs_total", "type" => output.target.kind(), "state" => state).increment(1);
    tracing::info!(egress = %work.egress.id, output = output.target.kind(), state, "an output has ended");
    work.changed();
}

async fn run(work: Arc<Work>) {
    let Some(output) = work.output() else { return };
    loop {
        output.edge.open();
        let reason = attempt(&work, output).await;
        output.edge.close();
        if work.stop().is_cancelled() {
            return output.end(State::Complete, work.egress.why());
        }
        metrics::counter!("mixdown_egress_failures_total", "type" => output.target.kind()).increment(1);
        let wait = output.down(clock::now(), clock::wall(), reason, rand::random());
        tracing::warn!(egress = %work.egress.id, output = output.target.kind(), ?reason, ?wait, "an output is interrupted");
        let Some(wait) = wait else { return };
        work.changed();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = work.stop().cancelled() => return output.end(State::Complete, work.egress.why()),
        }
    }
}

/// Runs until it fails, or until the egress ends.
async fn attempt(work: &Work, output: &Output) -> Reason {
    match &output.target {
        Target::Hls(_) => hls(work, output).await,
        Target::Rtmp(stream) => rtmp::run(work, output, stream).await,
        Target::Whip(whip) => whip::run(work, output, whip).await,
        Target::Images(_) => images::run(work, output).await,
    }
}

/// It works: from now on it is active.
pub fn up(work: &Work, output: &Output) {
    if output.up(clock::now()) {
        tracing::info!(egress = %work.egress.id, output = output.target.kind(), "an output is active");
        work.changed();
    }
}

async fn hls(work: &Work, output: &Output) -> Reason {
    let longest = work.settings.hls.segment * LONGEST;
    let mut mux = Mux::new(longest);
    let mut beat = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = work.stop().cancelled() => return Reason::Requested,
        }
        let wall = clock::wall();
        while let Some(item) = output.edge.pop() {
            mux.handle(item, wall);
            while let Some(out) = mux.poll_output() {
                let Some(mut window) = output.window() else { return Reason::InternalError };
                let taken = match out {
                    mux::Output::Head(bytes) => window.head(bytes, wall),
                    mux::Output::Fragment(fragment) => window.fragment(fragment),
                    mux::Output::Broken => {
                        output.edge.break_off();
                        Taken::default()
                    }
                };
                drop(window);
                if taken.listed {
                    output.listed();
                    up(work, output);
                }
                if taken.dropped {
                    mux = Mux::new(longest);
                    output.edge.break_off();
                }
            }
        }
    }
}
