//! Metrics: the recorder behind the `metrics` crate and its text form for Prometheus.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bucket bounds of everything that is measured in seconds.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often histograms are folded, so that nothing piles up between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process; `None`: another one is installed already.
pub fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS).ok()?;
    let handle = builder.install_recorder().ok()?;
    describe();
    Some(handle)
}

/// Folds histograms until `stop`.
pub async fn keep(handle: PrometheusHandle, stop: CancellationToken) {
    let mut beat = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = beat.tick() => handle.run_upkeep(),
            () = stop.cancelled() => return,
        }
    }
}

fn describe() {
    metrics::describe_counter!("mixdown_drops_total", "Things that were dropped, by reason.");
    metrics::describe_counter!("mixdown_panics_total", "Panics that were caught, by the unit that ended.");
    metrics::describe_gauge!("mixdown_rooms", "Rooms that run.");
    metrics::describe_counter!("mixdown_http_requests_total", "Requests by method, route and status.");
    metrics::describe_histogram!("mixdown_http_request_seconds", "Time until the answer's headers, by route.");
    metrics::describe_gauge!("mixdown_http_connections", "Open HTTP connections.");
    metrics::describe_counter!("mixdown_authentications_total", "Credentials that were checked, by result.");
    metrics::describe_counter!("mixdown_webhook_attempts_total", "Requests to webhooks, by result.");
    metrics::describe_counter!("mixdown_webhook_events_total", "Events that were settled, by result: delivered, given_up, dropped.");
    metrics::describe_counter!("mixdown_webhook_disk_errors_total", "Failures to write the webhooks' outbox.");
    metrics::describe_gauge!("mixdown_webhook_outbox_bytes", "Events that wait for webhooks.");
    metrics::describe_gauge!("mixdown_egresses", "What is sent on to other places now.");
    metrics::describe_counter!("mixdown_egress_outputs_total", "Outputs that have ended, by type and state.");
    metrics::describe_counter!("mixdown_egress_failures_total", "Attempts of outputs that failed, by type.");
    metrics::describe_gauge!("mixdown_hls_bytes", "Segments of HLS streams in memory.");
    metrics::describe_gauge!(
        "mixdown_uploads_waiting",
        "Recordings that the bucket has not confirmed, and deletions that it has not done."
    );
    metrics::describe_counter!("mixdown_uploads_total", "Recordings that the bucket has confirmed.");
    metrics::describe_counter!("mixdown_upload_failures_total", "Attempts to send a recording that failed.");
    metrics::describe_counter!("mixdown_upload_bytes_total", "Bytes that the bucket has taken.");
    metrics::describe_gauge!("mixdown_draining", "1 while the server takes nobody new.");
    metrics::gauge!("mixdown_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
