//! The journal on disk. Written by one process at a time; readable by its owner alone.

use super::journal::{self, Record};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const JOURNAL: &str = "journal";
const LOCK: &str = "lock";

/// Why the outbox cannot be used. One line with key and remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("webhooks.outbox: cannot use {folder}: {error}; name a folder that this user may write to", folder = .folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    #[error("webhooks.outbox: {folder} is in use by another server; give each its own", folder = .0.display())]
    Busy(PathBuf),
    #[error("webhooks: no TLS: {0}; install the system's certificates (ca-certificates)")]
    Tls(#[from] reqwest::Error),
}

/// The open journal.
pub struct Store {
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// Held as long as the store lives.
    _lock: File,
}

impl Store {
    /// Opens or makes the journal in `folder` and gives the records of earlier runs.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Record>), Error> {
        let fault = |error| Error::Folder { folder: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(fault)?;
        let lock = options().create(true).write(true).truncate(false).open(folder.join(LOCK)).map_err(fault)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy(folder.to_owned()),
            TryLockError::Error(error) => fault(error),
        })?;
        let text = match std::fs::read(folder.join(JOURNAL)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(fault(error)),
        };
        let (records, broken) = journal::read(&text);
        if broken > 0 {
            tracing::warn!(broken, "lines of the webhooks' outbox cannot be read");
            metrics::counter!("mixdown_drops_total", "reason" => "webhook_journal").increment(broken as u64);
        }
        let file = options().create(true).append(true).open(folder.join(JOURNAL)).map_err(fault)?;
        Ok((Self { folder: folder.to_owned(), file, bytes: text.len() as u64, _lock: lock }, records))
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds records. After an error the journal may end in half a line: [`Store::rewrite`] it.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let text = journal::write(records);
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        self.file.sync_data()
    }

    /// Begins the journal anew with `records` alone, whole or not at all.
    pub fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        let (text, path, new) = (journal::write(records), self.folder.join(JOURNAL), self.folder.join("journal.new"));
        let mut file = options().create(true).write(true).truncate(true).open(&new)?;
        file.write_all(&text)?;
        file.sync_data()?;
        std::fs::rename(&new, &path)?;
        self.file = options().append(true).open(&path)?;
        self.bytes = text.len() as u64;
        // The rename itself, against a power cut.
        File::open(&self.folder)?.sync_all()
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::super::journal::Message;
    use super::*;
    use std::sync::Arc;

    fn queued(number: u8) -> Record {
        let message = Message::new([number; 16], "room.updated", "r", std::time::UNIX_EPOCH, "then", &serde_json::json!({"n": number}));
        Record::Queued { message: Arc::new(message), endpoints: vec!["crm".into()] }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("mixdown-outbox-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn records_survive_whoever_wrote_them_even_where_the_last_is_half_written() {
        let folder = folder("half");
        let (mut store, none) = Store::open(&folder).expect("opened");
        assert!(none.is_empty());
        store.append(&[queued(1), queued(2)]).expect("written");
        drop(store);
        // Killed in the middle of a write.
        let path = folder.join(JOURNAL);
        let mut text = std::fs::read(&path).expect("read");
        let half = journal::write(&[queued(3)]);
        text.extend_from_slice(&half[..half.len() / 2]);
        std::fs::write(&path, &text).expect("written");
        let (mut store, records) = Store::open(&folder).expect("opened");
        assert_eq!(records, [queued(1), queued(2)]);
        store.rewrite(&records[1..]).expect("rewritten");
        store.append(&[queued(4)]).expect("written");
        assert_eq!(store.bytes(), std::fs::metadata(&path).expect("there").len());
        drop(store);
        assert_eq!(Store::open(&folder).expect("opened").1, [queued(2), queued(4)]);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn two_servers_do_not_share_an_outbox_and_strangers_do_not_read_it() {
        let folder = folder("lock");
        let (mut first, _) = Store::open(&folder).expect("opened");
        first.append(&[queued(1)]).expect("written");
        assert!(matches!(Store::open(&folder), Err(Error::Busy(_))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.join(JOURNAL)).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
        drop(first);
        assert!(Store::open(&folder).is_ok());
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
