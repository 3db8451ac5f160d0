//! Recordings in a bucket (S3 and what speaks like it, Google Cloud Storage, Azure).
//!
//! Behind the writer, a task of its own ([`driver`]) reads what is written and sends it in parts, as it grows ([`plan`]). What was
//! sent stands in `upload.json` in the recording's folder, so that the next process goes on there. The local media stay until the
//! bucket has confirmed them with their size; then they stay or go, as it is set. Nothing else ever waits for a bucket.
//!
//! The object is, byte for byte, the file that is left in the end. Rewriting puts tables in front of the fragments and leaves
//! these as they are: of what was sent while it grew, the first part alone is sent again.

pub mod bucket;
pub mod driver;
pub mod plan;

pub use bucket::{Bucket, Fault};
pub use driver::{Told, run};

use super::disk::{self, Local};
use plan::Session;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::time::Duration;

/// Where the state is kept, beside the media.
pub const STATE: &str = "upload.json";
/// The playlist of media that are in the bucket alone; it names them as [`FRAGMENTS`].
pub const PLAYLIST: &str = "playlist.m3u8";
pub const FRAGMENTS: &str = "media?form=fragmented";

/// Text that is printed nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub url: String,
    /// Of a server that speaks like the provider; empty: the provider's own.
    pub endpoint: String,
    /// S3; empty: from the environment, else `us-east-1`.
    pub region: String,
    /// S3: the bucket stands in the path, not in the host's name.
    pub path_style: bool,
    /// S3: the access key. Azure: the account. Empty: from the environment, or the machine's own role.
    pub access_key_id: String,
    pub secret_access_key: Hidden,
    /// Google: a file with a service account's key. Empty: from the environment, or the machine's own role.
    pub service_account_file: String,
    /// Bytes of a part; every 2000 parts they become twice as large.
    pub part_bytes: u64,
    /// For one request, also of a large part over a thin line.
    pub timeout: Duration,
    /// Whether the local media stay once the bucket has confirmed them.
    pub keep_local: bool,
    /// Whether retention deletes what the bucket has not confirmed.
    pub delete_unconfirmed: bool,
    /// How long the first attempt after a failed one waits, and any later one at most.
    pub retry: (Duration, Duration),
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UploadState)]
pub enum State {
    /// Nothing has been sent yet.
    #[default]
    Waiting,
    Uploading,
    /// The last attempt failed: see the error. It goes on by itself.
    Retrying,
    /// The bucket has all of it, and has confirmed the sizes.
    Complete,
}

/// An upload as others see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    pub state: State,
    /// Of the media's object.
    pub url: String,
    pub uploaded_bytes: u64,
    pub error: Option<String>,
    /// Whether the media lie here too.
    pub local: bool,
}

/// What is known of a recording's upload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Of the media's object, without anything secret.
    pub url: String,
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Files that are under way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub sessions: BTreeMap<String, Session>,
    /// Files of which there may be an object.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub begun: BTreeSet<String>,
    /// Files that the bucket has confirmed, with their sizes.
    #[serde(default)]
    pub confirmed: BTreeMap<String, u64>,
    /// Of media that are in the bucket alone: where their fragmented form begins.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote: Option<u64>,
}

impl Upload {
    /// `Ok(None)`: there is none.
    pub(super) fn read(folder: &Local) -> io::Result<Option<Self>> {
        match disk::read(folder, STATE) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, folder: &Local) -> io::Result<()> {
        disk::replace(folder, STATE, &serde_json::to_vec(self)?)
    }

    pub fn shown(&self) -> Shown {
        let under_way: u64 = self.sessions.values().map(Session::bytes).sum();
        Shown {
            state: self.state,
            url: self.url.clone(),
            uploaded_bytes: under_way + self.confirmed.values().sum::<u64>(),
            error: self.error.clone(),
            local: self.remote.is_none(),
        }
    }
}
