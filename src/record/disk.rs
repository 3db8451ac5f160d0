//! A recording's folder and its files, behind traits of a few methods so that tests bring disks that are slow, full or broken.
//!
//! All names are ours; nothing that a client says becomes part of a path. Files are opened relative to the folder's handle, follow no
//! symbolic link, are made anew or not at all, and belong to the server's user alone (folders 0700, files 0600).

use super::mp4::Bytes;
use rustix::fs::{AtFlags, Dir, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub const MEDIA: &str = "media.mp4";
pub const TIMELINE: &str = "timeline.json";
pub const CHAPTERS: &str = "chapters.vtt";
pub const THUMBNAIL: &str = "thumbnail.jpg";
pub const MANIFEST: &str = "manifest.json";
/// Events while the recording runs.
pub const JOURNAL: &str = "timeline.jsonl";
/// Holds the space that closing takes.
pub const RESERVE: &str = "reserve";

/// Longest file that is read into memory.
const MOST_READ: u64 = 256 << 20;

/// Bytes of a file system, for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    pub total: u64,
}

/// One folder.
pub trait Disk: Send + Sync {
    /// Makes a file for reading and writing; fails where one exists.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Puts a file in the place of another.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names survive a power cut.
    fn sync(&self) -> io::Result<()>;
    fn space(&self) -> io::Result<Space>;
}

pub trait DiskFile: Bytes + Send {
    /// Writes at the end. After an error some of it may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Makes the data survive a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes space at the end without writing.
    fn allocate(&mut self, bytes: u64) -> io::Result<()>;
}

/// Writes a file whole or not at all.
pub fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{name}.new");
    remove_if_there(disk, &new)?;
    let written = disk.create(&new).and_then(|mut file| {
        file.append(bytes)?;
        file.sync()
    });
    if let Err(error) = written.and_then(|()| disk.rename(&new, name)) {
        // What is left of it takes space that others need.
        let _ = disk.remove(&new);
        return Err(error);
    }
    disk.sync()
}

pub fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All of a small file.
pub fn read(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = file.length()?;
    if length > MOST_READ {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A folder of this machine.
pub struct Local {
    folder: OwnedFd,
}

impl Local {
    /// Opens a folder that the operator names, and makes it where it is missing. Links are followed.
    pub fn root(path: &Path) -> io::Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(builder.recursive(true), 0o700).create(path)?;
        let folder = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?;
        Ok(Self { folder })
    }

    /// Makes a folder in this one; fails where there is something of that name.
    pub fn create_folder(&self, name: &str) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.folder, name, Mode::RWXU)?;
        self.sync()?;
        self.open_folder(name)
    }

    pub fn open_folder(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(Self { folder: rustix::fs::openat(&self.folder, name, flags, Mode::empty())? })
    }

    /// Of an empty one.
    pub fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR)?)
    }

    /// Names of all that is in it, links and all.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            if let Ok(name) = entry?.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a plain file for reading alone.
    pub fn reader(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.folder, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// How long a plain file is.
    pub fn length(&self, name: &str) -> io::Result<u64> {
        let found = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_file = rustix::fs::FileType::from_raw_mode(found.st_mode).is_file();
        if is_file { Ok(u64::try_from(found.st_size).unwrap_or_default()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Opens a file that exists, or makes it, for locking.
    pub fn lock_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Bytes of all plain files in it.
    pub fn bytes(&self) -> io::Result<u64> {
        let sizes = self.names()?.into_iter().filter_map(|name| {
            let stat = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file().then_some(stat.st_size as u64)
        });
        Ok(sizes.sum())
    }
}

impl Disk for Local {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::APPEND;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Box::new(LocalFile(File::from(file))))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let open = |how| rustix::fs::openat(&self.folder, name, how | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
        // A backup, or somebody else's folder, can be looked at all the same.
        let opened = match open(OFlags::RDWR | OFlags::APPEND) {
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => open(OFlags::RDONLY),
            opened => opened,
        };
        let file = File::from(opened?);
        if file.metadata()?.is_file() { Ok(Box::new(LocalFile(file))) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, from, &self.folder, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty())?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(&self.folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }
}

struct LocalFile(File);

impl Bytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.read_exact_at(buffer, at)
    }
}

impl Bytes for LocalFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        Bytes::read_at(&self.0, buffer, at)
    }
}

impl DiskFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            // Where a file system cannot, zeros take the space as well.
            Err(rustix::io::Errno::OPNOTSUPP) => io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut self.0).map(drop),
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_their_owner_s_alone_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = Local::root(&folder.path().join("a/b")).unwrap();
        let disk = root.create_folder("rec").unwrap();
        disk.create("x").unwrap().append(b"hello").unwrap();
        assert_eq!(disk.create("x").err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(root.create_folder("rec").err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/b"), mode("a/b/rec"), mode("a/b/rec/x")), (0o700, 0o700, 0o600));
        assert_eq!((root.names().unwrap(), disk.bytes().unwrap()), (vec!["rec".to_owned()], 5));
    }

    #[test]
    fn links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "secret").unwrap();
        let root = Local::root(&folder.path().join("root")).unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, folder.path().join("root").join(name)).unwrap();
        link(&outside, MEDIA);
        link(&outside, "media.mp4.new");
        link(folder.path(), "rec");
        assert!(root.create(MEDIA).is_err());
        assert!(root.open(MEDIA).is_err());
        assert!(root.reader(MEDIA).is_err());
        assert!(root.open_folder("rec").is_err());
        replace(&root, MEDIA, b"ours").unwrap();
        assert_eq!(std::fs::read(&outside).unwrap(), b"secret");
        assert_eq!(read(&root, MEDIA).unwrap(), b"ours");
        assert!(root.reader(".").is_err(), "a folder is no file");
    }

    #[test]
    fn a_reserve_takes_space_and_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Local::root(folder.path()).unwrap();
        disk.create(RESERVE).unwrap().allocate(1 << 20).unwrap();
        assert_eq!(disk.bytes().unwrap(), 1 << 20);
        disk.remove(RESERVE).unwrap();
        assert_eq!(disk.bytes().unwrap(), 0);
        assert!(disk.space().unwrap().total > 0);
        remove_if_there(&disk, RESERVE).unwrap();
    }
}
