//! What the child is told. Nothing of it is anybody's text but the file's path and the URL, and these stand behind `-i`.

use super::Settings;
use super::source::Media;
use crate::process;
use std::ffi::OsString;
use std::time::Duration;

/// Containers and streams that are read; no playlists of files, no devices, no scripts.
const FORMATS: &str = "mov,mp4,m4a,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,wav,w64,mp3,aac,ac3,eac3,flac,aiff,caf,asf,mxf,nut,yuv4mpegpipe,ivf,h264,hevc,mjpeg,mpjpeg,amr,opus";
const PLAYLISTS: &str = "hls,applehttp";
const SESSIONS: &str = "rtsp,rtp,sdp";
/// What playlists may name. ffmpeg's take whatever begins with `http` and stands here: `httpproxy`, by which it reaches `https`, would be a way
/// around the relay, to any address.
const PLAIN: &str = "http,tcp,crypto";
const SECURE: &str = "http,https,httpproxy,tcp,tls,crypto";

/// The arguments for playing `media` from `from` on; without `pictures`, its sound alone is decoded. Of a URL, RTSP's must carry an address that was checked; others go through the relay.
pub fn arguments(settings: &Settings, media: &Media, from: Duration, pictures: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut tell = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    let (threads, pixels) = (settings.threads.to_string(), settings.max_pixels.to_string());
    tell(&["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-threads", &threads, "-max_pixels", &pixels]);
    let live = matches!(media, Media::Url(target) if target.is_rtsp());
    // What comes as fast as it is played is not waited for longer than it takes to see what it is.
    tell(&["-probesize", "5000000", "-analyzeduration", if live { "1000000" } else { "5000000" }]);
    let timeout = settings.stall.as_micros().to_string();
    match media {
        Media::File(_) => tell(&["-protocol_whitelist", "file", "-format_whitelist", FORMATS]),
        Media::Url(target) => {
            let (more, protocols) = match () {
                () if target.is_rtsp() => (SESSIONS, "rtsp,rtsps,rtp,tcp,tls"),
                () if settings.private => (PLAYLISTS, SECURE),
                () if target.is_playlist() => (PLAYLISTS, PLAIN),
                () => ("", SECURE),
            };
            let formats = format!("{FORMATS},{more}");
            tell(&["-format_whitelist", formats.trim_end_matches(','), "-protocol_whitelist", protocols]);
            if target.is_rtsp() {
                tell(&["-rtsp_transport", "tcp", "-timeout", &timeout]);
            } else {
                tell(&["-rw_timeout", &timeout]);
                if target.is_https() {
                    tell(&process::tls_arguments().iter().map(String::as_str).collect::<Vec<_>>());
                }
            }
        }
        Media::Picture(_) => {}
    }
    if !from.is_zero() {
        tell(&["-ss", &format!("{:.3}", from.as_secs_f64())]);
    }
    arguments.push("-i".into());
    arguments.push(match media {
        Media::File(path) => [OsString::from("file:"), path.into()].into_iter().collect(),
        Media::Url(target) => target.as_str().into(),
        Media::Picture(_) => OsString::new(),
    });
    let (width, height) = (settings.size.width, settings.size.height);
    let scale = format!(
        "scale=w='trunc(iw*max(sar,1e-3)/2)*2':h=ih,setsar=1,scale=w='min({width},iw)':h='min({height},ih)':force_original_aspect_ratio=decrease:force_divisible_by=2"
    );
    let mut tell = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    if pictures {
        tell(&["-map", "0:v:0?", "-vf", &scale, "-pix_fmt", "yuv420p", "-c:v", "rawvideo", "-fpsmax", &settings.fps.to_string()]);
    }
    tell(&["-map", "0:a:0?", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"]);
    tell(&["-af", "aresample=async=1:first_pts=0,asetnsamples=n=960:p=0", "-ar", "48000", "-ac", "2", "-c:a", "pcm_s16le"]);
    tell(&["-f", "matroska", "-live", "1", "-allow_raw_vfw", "1", "-cluster_time_limit", "20", "-flush_packets", "1", "pipe:1"]);
    arguments
}

/// How long it is, where it says so: a line of the child that begins with `Duration:`.
pub fn duration(line: &str) -> Option<Duration> {
    let (_, rest) = line.split_once("Duration: ")?;
    let mut parts = rest.split(',').next()?.trim().splitn(3, ':');
    let mut part = || parts.next()?.parse::<f64>().ok().filter(|value| (0.0..1e6).contains(value));
    let (hours, minutes, seconds) = (part()?, part()?, part()?);
    Some(Duration::from_secs_f64(hours * 3600.0 + minutes * 60.0 + seconds)).filter(|duration| !duration.is_zero())
}

/// What went wrong, of a line that says so; without the part of the program that says it.
pub fn complaint(line: &str) -> Option<&str> {
    ["[error] ", "[fatal] ", "[panic] "].iter().find_map(|level| line.split_once(level)).map(|(_, text)| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingress::source::Target;

    fn words(media: &Media, from: Duration) -> Vec<String> {
        arguments(&Settings::default(), media, from, true).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn names_are_no_options_and_protocols_are_those_of_the_source_alone() {
        let file = words(&Media::File("/media/-y.mp4".into()), Duration::from_millis(1500));
        let at = file.iter().position(|word| word == "-i").unwrap();
        assert_eq!((file[at - 2].as_str(), file[at - 1].as_str(), file[at + 1].as_str()), ("-ss", "1.500", "file:/media/-y.mp4"));
        let after = |words: &[String], option: &str| words.iter().position(|word| word == option).map(|at| words[at + 1].clone());
        assert_eq!(after(&file, "-protocol_whitelist").as_deref(), Some("file"));
        assert!(!after(&file, "-format_whitelist").unwrap().contains("hls"), "a playlist would name other files");
        let url = |text: &str| words(&Media::Url(Target::parse(&Settings::default(), text).unwrap()), Duration::ZERO);
        let list = url("http://example.org/live.m3u8");
        assert!(after(&list, "-format_whitelist").unwrap().contains("hls"));
        assert_eq!(after(&list, "-protocol_whitelist").as_deref(), Some("http,tcp,crypto"), "no way around the relay");
        let web = url("https://example.org/film.mp4");
        assert!(!after(&web, "-format_whitelist").unwrap().contains("hls"), "a film that turns out to be a playlist");
        let tls = process::tls_arguments();
        assert!(tls[..2] == ["-tls_verify", "1"] && web.windows(tls.len()).any(|words| words == tls), "{web:?}");
        let (web, camera) = (after(&web, "-protocol_whitelist").unwrap(), url("rtsp://example.org/cam"));
        assert!(web.split(',').all(|protocol| !["file", "data", "concat", "unix", "pipe", "subfile"].contains(&protocol)), "{web}");
        assert_eq!(after(&camera, "-rtsp_transport").as_deref(), Some("tcp"));
        assert!(!camera.contains(&"-ss".into()));
        let gong = arguments(&Settings::default(), &Media::File("/media/gong.mp4".into()), Duration::ZERO, false);
        assert!(!gong.contains(&"-vf".into()) && !gong.contains(&"0:v:0?".into()), "what nobody sees is not decoded");
    }

    #[test]
    fn the_child_s_words_are_understood() {
        assert_eq!(duration("[info]   Duration: 01:02:03.50, start: 0.000000, bitrate: 1 kb/s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(duration("[info]   Duration: N/A, start: 0.0"), None);
        assert_eq!(duration("Duration: 1:2"), None);
        assert_eq!(complaint("[https @ 0x55] [error] HTTP error 404 Not Found"), Some("HTTP error 404 Not Found"));
        assert_eq!(complaint("[info] Stream mapping:"), None);
    }
}
