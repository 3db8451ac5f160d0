//! What may be played, and how it is named afterwards: a file of the folder, a URL, a picture.

use super::Settings;
use crate::address::{Unresolved, reach, resolve};
use mixdown_codecs::I420Frame;
use reqwest::Url;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const SCHEMES: [&str; 4] = ["http", "https", "rtsp", "rtsps"];

#[derive(Debug, Clone)]
pub enum Media {
    File(PathBuf),
    Url(Target),
    Picture(Arc<I420Frame>),
}

/// A URL that may be asked, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why something is not played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("no files are played: ingress.folder names none")]
    NoFolder,
    #[error("no such file in ingress.folder")]
    NoFile,
    #[error("must be the name of a file within ingress.folder, without .. and links that lead out of it")]
    Outside,
    #[error("no URLs are played: ingress.urls is false")]
    NoUrls,
    #[error("must be a URL that begins with http://, https://, rtsp:// or rtsps://")]
    Url,
    #[error("names this machine, its network, or no address that may be asked (ingress.allow_private_networks)")]
    Address,
    #[error("a playlist over https may lead anywhere: name it with http://, or set ingress.allow_private_networks")]
    Playlist,
    #[error("the name cannot be resolved")]
    Unknown,
}

/// The file `name` in the folder. Reads the disk.
pub fn file(settings: &Settings, name: &str) -> Result<PathBuf, Refused> {
    let folder = settings.folder.as_deref().ok_or(Refused::NoFolder)?;
    let relative = Path::new(name);
    let plain = !name.is_empty() && !name.contains('\0') && relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(Refused::Outside);
    }
    let folder = folder.canonicalize().map_err(|_| Refused::NoFile)?;
    let path = folder.join(relative).canonicalize().map_err(|_| Refused::NoFile)?;
    if !path.starts_with(&folder) {
        return Err(Refused::Outside);
    }
    if path.is_file() { Ok(path) } else { Err(Refused::NoFile) }
}

impl Target {
    /// By what the text says; what its name leads to is looked at when it is asked.
    pub fn parse(settings: &Settings, text: &str) -> Result<Self, Refused> {
        if !settings.urls {
            return Err(Refused::NoUrls);
        }
        let url = Url::parse(text).map_err(|_| Refused::Url)?;
        let host = url.host_str().filter(|host| !host.is_empty() && host.is_ascii()).ok_or(Refused::Url)?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(Refused::Url);
        }
        let numeric = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if numeric.is_ok_and(|ip| !reach(ip).is_allowed(settings.private)) {
            return Err(Refused::Address);
        }
        let target = Self(url);
        if target.is_https() && target.is_playlist() && !settings.private {
            return Err(Refused::Playlist);
        }
        Ok(target)
    }

    /// Whether its name says that it is a playlist: others are not taken for one.
    pub fn is_playlist(&self) -> bool {
        let path = self.0.path().to_ascii_lowercase();
        path.ends_with(".m3u8") || path.ends_with(".m3u")
    }

    pub fn is_rtsp(&self) -> bool {
        self.0.scheme().starts_with("rtsp")
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Without what may be a secret: user, password, query.
    pub fn shown(&self) -> String {
        let mut url = self.0.clone();
        // Schemes of [`SCHEMES`] may have neither.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_query(None);
        url.set_fragment(None);
        url.into()
    }

    /// The same with the address in place of the name, for who must not look it up again.
    pub async fn resolved(&self, private: bool) -> Result<Self, Refused> {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port().unwrap_or(if self.0.scheme() == "rtsps" { 322 } else { 554 });
        let found = resolve(host, port, |ip| reach(ip).is_allowed(private)).await?;
        let address = found.first().copied().ok_or(Refused::Address)?;
        let mut url = self.0.to_string();
        let mut authority = address.ip().to_string();
        if address.is_ipv6() {
            authority = format!("[{authority}]");
        }
        // Not a special scheme: the host is a part of the text that can be exchanged.
        if let Some(at) = url.find(host) {
            url.replace_range(at..at + host.len(), &authority);
        }
        let url = Url::parse(&url).map_err(|_| Refused::Url)?;
        if url.host_str() == Some(authority.as_str()) { Ok(Self(url)) } else { Err(Refused::Url) }
    }
}

impl From<Unresolved> for Refused {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Unknown(_) => Self::Unknown,
            Unresolved::Refused => Self::Address,
        }
    }
}

/// What a program says, without what may be a secret in the URLs that it quotes.
pub fn scrubbed(text: &str) -> String {
    let word = |word: &str| match word.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split(['/', '?', '#', '\'', '"']).next().unwrap_or_default();
            format!("{scheme}://{}/…", host.rsplit('@').next().unwrap_or_default())
        }
        None => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_those_of_the_folder_and_no_others() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("media");
        std::fs::create_dir_all(folder.join("films")).unwrap();
        for path in ["media/a.mp4", "media/films/-b.mp4", "secret.mp4"] {
            std::fs::write(world.path().join(path), "x").unwrap();
        }
        std::os::unix::fs::symlink("../secret.mp4", folder.join("out.mp4")).unwrap();
        std::os::unix::fs::symlink("a.mp4", folder.join("in.mp4")).unwrap();
        let settings = Settings { folder: Some(folder), ..Settings::default() };
        for good in ["a.mp4", "films/-b.mp4", "in.mp4"] {
            assert!(file(&settings, good).unwrap().is_absolute(), "{good}");
        }
        for (name, why) in [
            ("../secret.mp4", Refused::Outside),
            ("/etc/passwd", Refused::Outside),
            ("films/../../secret.mp4", Refused::Outside),
            ("out.mp4", Refused::Outside),
            ("", Refused::Outside),
            ("a\0.mp4", Refused::Outside),
            ("films", Refused::NoFile),
            ("b.mp4", Refused::NoFile),
            ("concat:a.mp4|b.mp4", Refused::NoFile),
        ] {
            assert_eq!(file(&settings, name), Err(why), "{name:?}");
        }
        assert_eq!(file(&Settings { folder: None, ..settings }, "a.mp4"), Err(Refused::NoFolder));
    }

    #[test]
    fn urls_are_of_four_schemes_and_not_of_this_network() {
        let settings = Settings::default();
        let of = |text: &str| Target::parse(&settings, text);
        for good in ["https://example.org/a.mp4", "http://example.org:8000/live?x=1", "rtsp://u:p@example.org/cam", "rtsps://example.org/"]
        {
            assert!(of(good).is_ok(), "{good}");
        }
        for (text, why) in [
            ("file:///etc/passwd", Refused::Url),
            ("concat:http://a|http://b", Refused::Url),
            ("-i http://example.org", Refused::Url),
            ("ftp://example.org/", Refused::Url),
            ("subfile,,start,0,end,9,,:/etc/passwd", Refused::Url),
            ("http://127.0.0.1/", Refused::Address),
            ("http://2130706433/", Refused::Address),
            ("rtsp://10.1.2.3/", Refused::Address),
            ("http://[::ffff:10.0.0.1]/", Refused::Address),
            ("http://169.254.169.254/latest", Refused::Address),
        ] {
            assert_eq!(of(text), Err(why), "{text}");
        }
        let private = Settings { private: true, ..settings.clone() };
        assert!(Target::parse(&private, "http://127.0.0.1/").is_ok());
        assert_eq!(Target::parse(&private, "http://169.254.169.254/"), Err(Refused::Address), "never");
        assert_eq!(Target::parse(&settings, "https://example.org/a/Live.M3U8?x"), Err(Refused::Playlist));
        assert!(Target::parse(&settings, "http://example.org/live.m3u8").is_ok_and(|target| target.is_playlist()));
        assert!(Target::parse(&Settings { private: true, ..settings.clone() }, "https://example.org/live.m3u8").is_ok());
        assert_eq!(Target::parse(&Settings { urls: false, ..settings }, "http://example.org/"), Err(Refused::NoUrls));
    }

    #[tokio::test]
    async fn names_are_looked_up_once_and_what_they_lead_to_is_filtered() {
        let private = Settings { private: true, ..Settings::default() };
        let target = Target::parse(&private, "rtsp://u:secret@localhost:8554/cam?token=1").unwrap();
        assert_eq!(target.resolved(false).await, Err(Refused::Address));
        let resolved = target.resolved(true).await.unwrap();
        assert!(resolved.as_str().ends_with(":8554/cam?token=1") && !resolved.as_str().contains("localhost"), "{}", resolved.as_str());
        assert_eq!(target.shown(), "rtsp://localhost:8554/cam");
    }

    #[test]
    fn reasons_carry_no_secrets() {
        let line = "[tcp @ 0x1] Failed to open 'http://ann:pw@example.org:80/a?token=abc': refused";
        assert_eq!(scrubbed(line), "[tcp @ 0x1] Failed to open 'http://example.org:80/… refused");
    }
}
