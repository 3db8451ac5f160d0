//! Where recordings go, how large they may become, and how rooms begin with them.

use super::Secret;
use super::check::Faults;
use crate::record::{self, upload};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recordings {
    /// If false there are none, and the folder is not touched.
    pub enabled: bool,
    /// A folder of this server's own.
    pub folder: PathBuf,
    /// Bytes of all recordings together; 0: no limit.
    pub max_bytes: u64,
    /// What stays free on the disk: the smaller of the two.
    pub reserve_bytes: u64,
    pub reserve_percent: u8,
    /// How long a recording is kept after its end; 0: until it is deleted.
    pub retention_ms: u64,
    /// A recording that is as long ends; 0: none does.
    pub max_duration_ms: u64,
    /// Recordings of one room at the same time.
    pub max_per_room: u32,
    pub fragment_ms: u64,
    pub sync_interval_ms: u64,
    pub keyframe_interval_ms: u64,
    /// What waits for the disk at most.
    pub queue_bytes: usize,
    /// Rewrite what ended well with its tables in front.
    pub progressive: bool,
    /// How rooms begin; each can be changed: whether they record themselves while somebody is there, and whether
    /// the picture says that it is recorded.
    pub auto_record: bool,
    pub sign: bool,
    pub upload: Upload,
}

/// A bucket that gets recordings as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upload {
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; empty: none.
    pub url: String,
    /// Of a server that speaks like the provider.
    pub endpoint: String,
    /// S3: the region, and whether the bucket stands in the path.
    pub region: String,
    pub path_style: bool,
    /// S3: the access key; Azure: the account. Without: from the environment, or the machine's own role.
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Google: the file of a service account's key.
    pub service_account_file: String,
    pub part_bytes: u64,
    /// How long one request may take.
    pub timeout_ms: u64,
    /// Keep the local media once the bucket has confirmed them.
    pub keep_local: bool,
    /// Retention may delete what the bucket has not confirmed.
    pub delete_unconfirmed: bool,
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            url: String::new(),
            endpoint: String::new(),
            region: String::new(),
            path_style: true,
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            service_account_file: String::new(),
            part_bytes: 8 << 20,
            timeout_ms: 120_000,
            keep_local: true,
            delete_unconfirmed: false,
        }
    }
}

impl Upload {
    fn settings(&self) -> Option<upload::Settings> {
        (!self.url.is_empty()).then(|| upload::Settings {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            access_key_id: self.access_key_id.clone(),
            secret_access_key: upload::Hidden(self.secret_access_key.reveal().to_owned()),
            service_account_file: self.service_account_file.clone(),
            part_bytes: self.part_bytes,
            timeout: Duration::from_millis(self.timeout_ms),
            keep_local: self.keep_local,
            delete_unconfirmed: self.delete_unconfirmed,
            retry: RETRY,
        })
    }

    fn check(&self, faults: &mut Faults) {
        faults.range("recordings.upload.part_bytes", self.part_bytes, 5 << 20..=256 << 20);
        faults.range("recordings.upload.timeout_ms", self.timeout_ms, 1000..=3_600_000);
        let Some(settings) = self.settings() else { return };
        if self.access_key_id.is_empty() != self.secret_access_key.is_empty() {
            let fault = "access_key_id and secret_access_key belong together";
            faults.add(
                "recordings.upload.access_key_id",
                fault,
                "set both, or none to take them from the environment or the machine's role",
            );
        }
        if !self.endpoint.is_empty() && !["http://", "https://"].iter().any(|scheme| self.endpoint.starts_with(scheme)) {
            faults.add("recordings.upload.endpoint", "is no http:// or https:// URL", "write it as https://s3.example.org");
        }
        if let Err(why) = upload::Bucket::open(&settings) {
            let why = why.strip_prefix("recordings.upload.url: ").unwrap_or(&why);
            faults.add("recordings.upload.url", why, "correct it, or empty it: then recordings stay on this machine alone");
        }
    }
}

/// How long after a failure the bucket is tried again, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

impl Default for Recordings {
    fn default() -> Self {
        let record::Settings { reserve_bytes, reserve_percent, queue_bytes, progressive, .. } = record::Settings::default();
        Self {
            enabled: true,
            folder: "mixdown-recordings".into(),
            max_bytes: 0,
            reserve_bytes,
            reserve_percent,
            retention_ms: 0,
            max_duration_ms: 24 * 3_600_000,
            max_per_room: 8,
            fragment_ms: 1000,
            sync_interval_ms: 5000,
            keyframe_interval_ms: 10_000,
            queue_bytes,
            progressive,
            auto_record: false,
            sign: true,
            upload: Upload::default(),
        }
    }
}

impl Recordings {
    pub fn settings(&self) -> record::Settings {
        let time = |ms: u64| Some(ms).filter(|ms| *ms > 0).map(Duration::from_millis);
        record::Settings {
            folder: self.folder.clone(),
            fragment: Duration::from_millis(self.fragment_ms),
            sync_every: Duration::from_millis(self.sync_interval_ms),
            keyframe_every: Duration::from_millis(self.keyframe_interval_ms),
            max_bytes: self.max_bytes,
            reserve_bytes: self.reserve_bytes,
            reserve_percent: self.reserve_percent,
            retention: time(self.retention_ms),
            max_duration: time(self.max_duration_ms),
            queue_bytes: self.queue_bytes,
            progressive: self.progressive,
            upload: self.upload.settings(),
            ..record::Settings::default()
        }
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        const YEARS: u64 = 10 * 365 * 86_400_000;
        if self.enabled && self.folder.as_os_str().is_empty() {
            faults.add("recordings.folder", "is empty", "name a folder of this server's own, or set recordings.enabled = false");
        }
        faults.range("recordings.reserve_percent", self.reserve_percent, 0..=50);
        faults.range("recordings.retention_ms", self.retention_ms, 0..=YEARS);
        faults.range("recordings.max_duration_ms", self.max_duration_ms, 0..=7 * 86_400_000);
        if (1..1000).contains(&self.max_duration_ms) {
            faults.add("recordings.max_duration_ms", format!("{} is out of range", self.max_duration_ms), "write 0, or 1000 and more");
        }
        faults.range("recordings.max_per_room", self.max_per_room, 1..=64);
        faults.range("recordings.fragment_ms", self.fragment_ms, 200..=10_000);
        faults.range("recordings.sync_interval_ms", self.sync_interval_ms, 100..=60_000);
        faults.range("recordings.keyframe_interval_ms", self.keyframe_interval_ms, 1000..=60_000);
        self.upload.check(faults);
        faults.range("recordings.queue_bytes", self.queue_bytes, 1 << 20..=256 << 20);
    }
}
