//! Recordings as they lie in a folder, looked at without a server: which there are, and whether they are what their manifests say.
//!
//! Reads alone, also while a server writes: what runs is no fault. Reads every byte for the checksums.

use super::disk::{self, Local, MANIFEST, MEDIA};
use super::manifest::Manifest;
use super::mp4::{self, scan};
use super::tracks::files;
use super::upload::Upload;
use super::writer::checksum;
use crate::ids::RecordingId;
use serde::Serialize;
use std::fs::TryLockError;
use std::io;
use std::path::Path;

/// A recording in the folder of all of them.
#[derive(Debug, Serialize)]
pub struct Found {
    pub id: RecordingId,
    /// `None`: it cannot be read.
    pub manifest: Option<Manifest>,
    /// Of all its files.
    pub bytes: u64,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub file: String,
    pub problem: String,
}

/// The newest first. `Err`: there is no such folder, or it cannot be read.
pub fn list(folder: &Path) -> io::Result<Vec<Found>> {
    let root = open(folder)?;
    let mut all = Vec::new();
    for name in root.names()? {
        let Ok(id) = name.parse() else { continue };
        let Ok(folder) = root.open_folder(&name) else { continue };
        all.push(Found { id, manifest: manifest(&folder).ok(), bytes: folder.bytes().unwrap_or_default() });
    }
    all.sort_by(|a, b| {
        let key = |found: &Found| (found.manifest.as_ref().map(|manifest| manifest.started_at.clone()), found.id);
        key(b).cmp(&key(a))
    });
    Ok(all)
}

/// Whether a server has the folder now.
pub fn is_in_use(folder: &Path) -> bool {
    let lock = open(folder).and_then(|root| root.reader(super::store::LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// One recording's folder against its manifest. Nothing: it is whole. `running`: a server may still write it.
pub fn verify(folder: &Path, running: bool) -> io::Result<Vec<Finding>> {
    let disk = open(folder)?;
    let mut findings = Vec::new();
    let mut find = |file: &str, problem: String| findings.push(Finding { file: file.to_owned(), problem });
    let manifest = match manifest(&disk) {
        Ok(manifest) => manifest,
        Err(error) => {
            find(MANIFEST, format!("cannot be read: {error}"));
            return Ok(findings);
        }
    };
    if !manifest.state.is_final() {
        if !running {
            find(MANIFEST, "the recording was never closed".into());
        }
        return Ok(findings);
    }
    // Its media may lie in a bucket alone.
    let remote = Upload::read(&disk)?.is_some_and(|upload| upload.remote.is_some()) && disk.reader(MEDIA).is_err();
    let here = |name: &str| !(remote && name == MEDIA);
    for file in manifest.files.iter().filter(|file| here(&file.name)) {
        match checksum(&disk, &file.name) {
            Err(error) => find(&file.name, format!("cannot be read: {error}")),
            Ok(found) if found.bytes != file.bytes => find(&file.name, format!("has {} bytes and should have {}", found.bytes, file.bytes)),
            Ok(found) if found.sha256 != file.sha256 => find(&file.name, "its SHA-256 is another than in the manifest".into()),
            Ok(_) => {}
        }
    }
    let tracks = files::list(&disk, &mut files::Seen::default()).unwrap_or_default();
    let listed = tracks.iter().map(|track| track.begun.file.as_str());
    for name in manifest.tracks.has_composite().then_some(MEDIA).into_iter().filter(|name| here(name)).chain(listed) {
        if !manifest.files.iter().any(|file| file.name == name) {
            find(name, "is not in the manifest".into());
        } else if let Err(problem) = plays(&disk, name) {
            find(name, problem);
        }
    }
    Ok(findings)
}

/// Its boxes lead from its beginning to its end.
fn plays(disk: &Local, name: &str) -> Result<(), String> {
    let look = || -> Result<bool, mp4::Error> {
        let file = disk.reader(name)?;
        let begin = scan::fragments(&file)?;
        Ok(scan::scan(&mp4::From(&file, begin))?.torn)
    };
    match look() {
        Ok(false) => Ok(()),
        Ok(true) => Err("its end is torn".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn manifest(folder: &Local) -> io::Result<Manifest> {
    serde_json::from_slice(&disk::read(folder, MANIFEST)?).map_err(io::Error::from)
}

/// Makes nothing, unlike [`Local::root`] alone.
fn open(folder: &Path) -> io::Result<Local> {
    if !std::fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Local::root(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::writer::checksum;
    use crate::record::{Reason, disk::Disk};

    #[test]
    fn a_changed_byte_a_missing_file_and_one_that_was_never_closed_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let id = RecordingId(7);
        let path = folder.path().join(id.to_string());
        let disk = Local::root(&path).unwrap();
        let mut manifest = Manifest::new(id, &"standup".parse().unwrap(), "main", "2026-11-23T00:00:00Z".into());
        manifest.tracks = crate::record::tracks::Mode::Each;
        disk::replace(&disk, MANIFEST, &manifest.json()).unwrap();
        assert_eq!(verify(&path, true).unwrap(), []);
        assert_eq!(verify(&path, false).unwrap()[0].file, MANIFEST);
        disk.create("timeline.json").unwrap().append(b"{}").unwrap();
        manifest.state = Reason::Requested.state();
        manifest.files = vec![checksum(&disk, "timeline.json").unwrap()];
        disk::replace(&disk, MANIFEST, &manifest.json()).unwrap();
        assert_eq!(verify(&path, false).unwrap(), []);
        std::fs::write(path.join("timeline.json"), "[]").unwrap();
        assert!(verify(&path, false).unwrap()[0].problem.contains("SHA-256"));
        std::fs::remove_file(path.join("timeline.json")).unwrap();
        assert!(verify(&path, false).unwrap()[0].problem.contains("cannot be read"));
        let all = list(folder.path()).unwrap();
        assert_eq!((all.len(), all[0].id, is_in_use(folder.path())), (1, id, false));
        assert!(list(&folder.path().join("nowhere")).is_err() && !folder.path().join("nowhere").exists());
    }

    #[test]
    fn media_that_lie_in_a_bucket_alone_are_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Local::root(folder.path()).unwrap();
        let mut manifest = Manifest::new(RecordingId(7), &"standup".parse().unwrap(), "main", "2026-11-23T00:00:00Z".into());
        disk.create(MEDIA).unwrap().append(b"film").unwrap();
        manifest.state = Reason::Requested.state();
        manifest.files = vec![checksum(&disk, MEDIA).unwrap()];
        disk::replace(&disk, MANIFEST, &manifest.json()).unwrap();
        disk.remove(MEDIA).unwrap();
        assert!(!verify(folder.path(), false).unwrap().is_empty());
        Upload { remote: Some(0), ..Upload::default() }.write(&disk).unwrap();
        assert_eq!(verify(folder.path(), false).unwrap(), []);
    }
}
