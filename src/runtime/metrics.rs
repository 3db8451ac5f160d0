//! Metrics: the recorder behind the `metrics` crate and its text form for Prometheus.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bucket bounds of everything that is measured in seconds.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often histograms are folded, so that nothing piles up between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What there is now of something: none at first, and said to be so, for what is missing could be anything.
const GAUGES: &[(&str, &str)] = &[
    ("mixdown_admission_closed", "1 while newcomers are refused for load."),
    ("mixdown_draining", "1 while the server takes nobody new."),
    ("mixdown_egresses", "What is sent on to other places now."),
    ("mixdown_encode_sharing_ratio", "Subscribers per encode."),
    ("mixdown_feeds", "Subscribers of encodes."),
    ("mixdown_governor_step", "What is given up for lack of time: 0 nothing, 1-3 rate, 4-5 size, 6 cameras, 7 video."),
    ("mixdown_hls_bytes", "Segments of HLS streams in memory."),
    ("mixdown_http_connections", "Open HTTP connections."),
    ("mixdown_ingress", "Files and streams that are played into rooms."),
    ("mixdown_peers", "Connections of participants."),
    ("mixdown_processor_used_ratio", "Share of the processor time that this server may use."),
    ("mixdown_recordings", "Recordings that run."),
    ("mixdown_renditions", "Encodes that run."),
    ("mixdown_rooms", "Rooms that run."),
    ("mixdown_uploads_waiting", "Recordings that the bucket has not confirmed, and deletions that it has not done."),
    ("mixdown_webhook_outbox_bytes", "Events that wait for webhooks."),
];

/// What is counted, from nothing on.
const COUNTERS: &[(&str, &str)] = &[
    ("mixdown_audio_levels_distrusted_total", "Senders whose levels lied about their sound."),
    ("mixdown_audio_packets_lost_total", "Packets of sound that never came."),
    ("mixdown_audio_restarts_total", "Jumps of senders' clocks."),
    ("mixdown_encode_errors_total", "Pictures that could not be encoded."),
    ("mixdown_encoder_skips_total", "Pictures that rate control left out."),
    ("mixdown_forwarded_pictures_total", "Pictures that went on as they came."),
    ("mixdown_http_accept_errors_total", "HTTP connections that could not be accepted."),
    ("mixdown_http_connection_errors_total", "HTTP connections that broke."),
    ("mixdown_ingress_failures_total", "How often a file or stream that is played broke off."),
    ("mixdown_ingress_starts_total", "Programs started to play files and streams."),
    ("mixdown_keyframe_bytes_total", "Bytes of keyframes, once per encode."),
    ("mixdown_keyframes_total", "Keyframes, once per encode."),
    ("mixdown_mix_tick_late_total", "Ticks of sound that began late."),
    ("mixdown_mix_ticks_skipped_total", "Ticks of sound that were left out."),
    ("mixdown_peer_panics_total", "Connections that ended by an internal error."),
    ("mixdown_peer_spins_total", "Connections in which the WebRTC stack span."),
    ("mixdown_recording_disk_errors_total", "What the recordings' disk refused."),
    ("mixdown_ticks_missed_total", "Pictures left out because the one before was not done."),
    ("mixdown_ticks_total", "Pictures that were due."),
    ("mixdown_upload_bytes_total", "Bytes that the bucket has taken."),
    ("mixdown_upload_failures_total", "Attempts to send a recording that failed."),
    ("mixdown_uploads_total", "Recordings that the bucket has confirmed."),
    ("mixdown_video_bytes_total", "Bytes of all pictures, once per encode."),
    ("mixdown_webhook_disk_errors_total", "Failures to write the webhooks' outbox."),
];

/// What is counted by label: each kind from when there is one.
const LABELLED: &[(&str, &str)] = &[
    ("mixdown_audio_samples_total", "Where sound comes from: decoded, recovered, concealed, comfort."),
    ("mixdown_authentications_total", "Credentials that were checked, by result."),
    ("mixdown_codec_failures_total", "Codecs that failed and were built anew, by kind."),
    ("mixdown_decode_errors_total", "Pictures that could not be decoded, by reason."),
    ("mixdown_decodes_total", "What was decoded, by kind."),
    ("mixdown_drops_total", "Things that were dropped, by reason."),
    ("mixdown_egress_failures_total", "Attempts of outputs that failed, by type."),
    ("mixdown_egress_outputs_total", "Outputs that have ended, by type and state."),
    ("mixdown_encodes_total", "What was encoded, by kind."),
    ("mixdown_governor_changes_total", "How often the governor's step changed, by direction."),
    ("mixdown_http_requests_total", "Requests by method, route and status."),
    ("mixdown_key_uses_total", "Requests authenticated by each API key, and by tokens that it signed."),
    ("mixdown_panics_total", "Panics that were caught, by the unit that ended."),
    ("mixdown_peer_errors_total", "What the WebRTC stack refused, by kind."),
    ("mixdown_recordings_total", "Recordings that have ended, by state."),
    ("mixdown_socket_errors_total", "What the kernel refused, by direction."),
    ("mixdown_track_quarantines_total", "Senders whose pictures rest for a while, by reason."),
    ("mixdown_webhook_attempts_total", "Requests to webhooks, by result."),
    ("mixdown_webhook_events_total", "Events that were settled, by result: delivered, given_up, dropped."),
];

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

/// Names all metrics but those of the ledger, which says its own.
fn describe() {
    for (name, text) in GAUGES {
        metrics::describe_gauge!(*name, *text);
        metrics::gauge!(*name).set(0.0);
    }
    for (name, text) in COUNTERS {
        metrics::describe_counter!(*name, *text);
        metrics::counter!(*name).increment(0);
    }
    for (name, text) in LABELLED {
        metrics::describe_counter!(*name, *text);
    }
    metrics::describe_histogram!("mixdown_http_request_seconds", "Time until the answer's headers, by route.");
    metrics::describe_gauge!("mixdown_build_info", "1, with the version as its label.");
    metrics::gauge!("mixdown_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_none_of_is_said_to_be_none() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, describe);
        let text = handle.render();
        for (name, said) in GAUGES.iter().chain(COUNTERS) {
            assert!(text.contains(&format!("\n{name} 0\n")), "{name}: {text}");
            assert!(text.contains(&format!("# HELP {name} {said}\n")), "{name}: {text}");
        }
    }
}
