//! The store and its bucket: what is still to be sent or deleted there, and media that are there alone.

use super::{DELETED, Refusal, Store, remove, unknown_or_disk};
use crate::ids::RecordingId;
use crate::record::disk::{self, Local, MEDIA};
use crate::record::manifest::Manifest;
use crate::record::mp4::{self, playlist, scan};
use crate::record::tracks::files;
use crate::record::upload::{Bucket, FRAGMENTS, PLAYLIST, STATE, Shown, State, Upload};
use std::fs::File;
use std::io;

/// In front of the name of a folder whose recording is deleted here, and still to be deleted in the bucket.
pub(super) const ERASED: &str = "erase-";

/// Where the media of a recording are.
pub enum Media {
    Local(File),
    /// In the bucket alone.
    Remote {
        bytes: u64,
        /// Where the fragmented form begins.
        fragments: u64,
    },
}

/// What there is to do with the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Send(RecordingId),
    Erase(RecordingId),
}

impl Store {
    pub fn bucket(&self) -> Option<&Bucket> {
        self.0.bucket.as_ref()
    }

    /// All recordings, and all that is to be erased. Which of them have been sent is for the caller to know or to look up.
    pub fn bucket_work(&self) -> io::Result<Vec<Work>> {
        let work = |name: String| match name.strip_prefix(ERASED) {
            Some(id) => id.parse().ok().map(Work::Erase),
            None => name.parse().ok().map(Work::Send),
        };
        Ok(self.0.root.names()?.into_iter().filter_map(work).collect())
    }

    pub fn upload(&self, id: RecordingId) -> Result<Option<Upload>, Refusal> {
        Ok(Upload::read(&self.folder(id)?)?)
    }

    pub fn note_upload(&self, id: RecordingId, upload: &Upload) -> Result<(), Refusal> {
        Ok(upload.write(&self.folder(id)?)?)
    }

    /// A file by its name; as far as it is there.
    pub fn file(&self, id: RecordingId, name: &str) -> Result<File, Refusal> {
        self.folder(id)?.reader(name).map_err(unknown_or_disk)
    }

    /// The files that media are written to, so far, with their bytes. Opens none of them.
    pub fn growing(&self, id: RecordingId) -> Result<Vec<(String, u64)>, Refusal> {
        let folder = self.folder(id)?;
        let names = std::iter::once(MEDIA.to_owned()).chain(files::begun(&folder)?);
        // What is not there has not begun.
        Ok(names.filter_map(|name| folder.length(&name).ok().map(|bytes| (name, bytes))).collect())
    }

    /// Unknown are media that another bucket has than the one that is set: what lies there under the same name is not these.
    pub fn media(&self, id: RecordingId) -> Result<Media, Refusal> {
        let here = self.bucket().map(|bucket| bucket.url(&format!("{id}/{MEDIA}")));
        match (self.file(id, MEDIA), self.upload(id)?) {
            (Err(Refusal::Unknown), Some(Upload { remote: Some(fragments), confirmed, url, .. })) if here == Some(url.clone()) => {
                Ok(Media::Remote { bytes: confirmed.get(MEDIA).copied().ok_or(Refusal::Unknown)?, fragments })
            }
            (file, _) => Ok(Media::Local(file?)),
        }
    }

    /// Removes the local media of what the bucket has confirmed.
    pub fn release_media(&self, id: RecordingId, upload: &mut Upload) -> Result<(), Refusal> {
        let (folder, file) = (self.folder(id)?, self.file(id, MEDIA)?);
        let (bytes, begin) = (file.metadata()?.len(), scan::fragments(&file).unwrap_or_default());
        if let Ok(playlist) = playlist::write(&mp4::From(&file, begin), FRAGMENTS, true) {
            disk::replace(&folder, PLAYLIST, playlist.as_bytes())?;
        }
        upload.remote = Some(begin);
        upload.write(&folder)?;
        disk::Disk::remove(&folder, MEDIA)?;
        self.0.usage.give_back(bytes);
        Ok(())
    }

    /// What a deleted recording has left in the bucket.
    pub fn erased(&self, id: RecordingId) -> Result<Option<Upload>, Refusal> {
        let folder = self.0.root.open_folder(&format!("{ERASED}{id}")).map_err(unknown_or_disk)?;
        Ok(Upload::read(&folder)?)
    }

    /// The bucket has nothing of it any more.
    pub fn forget_erased(&self, id: RecordingId) -> Result<(), Refusal> {
        let gone = format!("{DELETED}{id}");
        disk::Disk::rename(&self.0.root, &format!("{ERASED}{id}"), &gone)?;
        Ok(remove(&self.0.root, &gone)?)
    }

    pub(super) fn shown_upload(&self, id: RecordingId, folder: &Local) -> Option<Shown> {
        let known = Upload::read(folder).ok().flatten();
        let upload =
            known.or_else(|| self.bucket().map(|bucket| Upload { url: bucket.url(&format!("{id}/{MEDIA}")), ..Upload::default() }));
        upload.map(|upload| upload.shown())
    }

    pub(super) fn kept_playlist(&self, id: RecordingId, media: &str) -> Result<Option<String>, Refusal> {
        if !matches!(self.media(id)?, Media::Remote { .. }) {
            return Ok(None);
        }
        let text = disk::read(&self.folder(id)?, PLAYLIST).map_err(unknown_or_disk)?;
        Ok(Some(String::from_utf8_lossy(&text).replace(FRAGMENTS, media)))
    }

    pub(super) fn may_sweep(&self, manifest: &Manifest) -> bool {
        let confirmed = manifest.upload.as_ref().is_some_and(|upload| upload.state == State::Complete);
        self.0.settings.upload.as_ref().is_none_or(|settings| settings.delete_unconfirmed) || confirmed
    }
}

/// Whether there may be something of it in a bucket.
pub(super) fn is_sent(folder: &Local) -> bool {
    Upload::read(folder)
        .ok()
        .flatten()
        .is_some_and(|upload| !(upload.begun.is_empty() && upload.sessions.is_empty() && upload.confirmed.is_empty()))
}

/// Leaves nothing but what says what is in the bucket.
pub(super) fn strip(folder: &Local) -> io::Result<()> {
    folder.names()?.iter().filter(|name| *name != STATE).try_for_each(|name| disk::remove_if_there(folder, name))
}

pub(super) fn strip_erased(root: &Local, names: &[String]) -> io::Result<()> {
    names.iter().filter(|name| name.starts_with(ERASED)).try_for_each(|name| strip(&root.open_folder(name)?))
}
