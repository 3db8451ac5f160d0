//! Where bytes of strangers enter: one function per parser, with what must hold whatever the bytes are.
//! The fuzz targets call these, and `tests/fuzz_corpus.rs` replays the corpora through them as ordinary tests.

use mixdown_codecs::gate::{self, Limits};
use mixdown_codecs::{AudioCodec, FramePool, Size, VideoCodec, audio, video};

/// A target's name (its corpus folder's, too) and its entry.
pub type Entry = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Entry] = &[
    #[cfg(feature = "h264")]
    ("h264", |data| coded_video(VideoCodec::H264, data)),
    ("vp8", |data| coded_video(VideoCodec::Vp8, data)),
    ("opus", |data| coded_audio(AudioCodec::Opus, data)),
    ("g711", |data| coded_audio(if data.len() % 2 == 0 { AudioCodec::Pcmu } else { AudioCodec::Pcma }, data)),
    ("json", json),
    ("config", config),
    ("channel", channel),
    ("matroska", matroska),
    ("mp4", mp4),
];

/// What the decoders are allowed here: small, so that a refusal is soon seen and a picture cheap.
const LIMITS: Limits = Limits { max_pixels: 512 * 512, max_side: 1024 };

/// Runs the entry called `name`.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, entry)) = ALL.iter().find(|(target, _)| *target == name) {
        entry(data);
    }
}

/// Splits `data` at its 16-bit lengths; the last part may be short.
pub fn units(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        data = rest;
        Some(unit)
    })
}

fn within_limits(size: Size) -> bool {
    size.width <= LIMITS.max_side && size.height <= LIMITS.max_side && size.pixels() <= LIMITS.max_pixels as usize
}

/// A sender's stream: the gate first, and the decoder for whatever its own gate lets pass.
fn coded_video(codec: VideoCodec, data: &[u8]) {
    let Some(Ok(mut decoder)) = video::decoder(codec, LIMITS) else { panic!("no decoder for {codec:?}") };
    let mut pool = FramePool::default();
    for unit in units(data) {
        let header = gate::inspect(codec, unit, LIMITS);
        if let Some(size) = header.as_ref().ok().and_then(|header| header.size) {
            assert!(within_limits(size), "the gate let {size} pass");
        }
        if let Ok(Some(picture)) = decoder.decode(unit, &mut pool) {
            assert!(header.is_ok(), "decoded what the gate refuses: {header:?}");
            assert!(within_limits(picture.size()), "decoded {}", picture.size());
        }
    }
}

/// A sender's packets, each of them also as the redundancy for a lost one before it.
fn coded_audio(codec: AudioCodec, data: &[u8]) {
    const LONGEST: usize = 5760;
    let Ok(mut decoder) = audio::decoder(codec) else { panic!("no decoder for {codec:?}") };
    let mut pcm = Vec::new();
    for packet in units(data) {
        for step in 0..3 {
            pcm.clear();
            let decoded = match step {
                0 => decoder.recover(packet, 960, &mut pcm),
                1 => decoder.decode(packet, &mut pcm),
                _ => decoder.conceal(960, &mut pcm),
            };
            if let Ok(samples) = decoded {
                assert!(samples <= LONGEST && pcm.len() == 2 * samples, "{samples} samples, {} values", pcm.len());
            }
            assert!(pcm.iter().all(|sample| sample.is_finite()), "a sound that is no number");
        }
        if let Ok(samples) = decoder.duration(packet) {
            assert!(samples <= LONGEST, "a packet of {samples} samples");
        }
    }
}

/// A request's body: read strictly, and where it is a layout applied to a room.
fn json(data: &[u8]) {
    use mixdown_layouts::{Cast, Layout, Person, PersonId};
    let Ok(value) = mixdown::api::json::parse(data) else { return };
    let text = value.to_string();
    assert_eq!(mixdown::api::json::parse(text.as_bytes()).ok(), Some(value.clone()), "does not survive writing and reading");
    let Ok(layout) = serde_json::from_value::<Layout>(value) else { return };
    let written = serde_json::to_value(&layout).ok().and_then(|value| serde_json::from_value::<Layout>(value).ok());
    assert_eq!(written.as_ref(), Some(&layout), "does not survive writing and reading");
    let faultless = layout.faults().is_empty();
    let canvas = Size::new(640, 360);
    for count in [0, 1, 5, 17] {
        let person = |id: u64| Person {
            id: PersonId(id),
            key: id.to_string(),
            identity: None,
            name: id.to_string(),
            role: None,
            camera: None,
            screen: None,
            muted: false,
            pinned: false,
            last_spoke: id,
        };
        let cast =
            Cast { people: (0..count).map(person).collect(), active_speaker: (count > 0).then_some(PersonId(0)), previous_speaker: None };
        if faultless {
            mixdown_layouts::preview::preview(&layout, &cast, canvas, 30, [0; 3]);
        }
        for tile in &layout.arrange(&cast, canvas, [0; 3]).tiles {
            let rect = tile.rect;
            assert!(rect.x + rect.width <= canvas.width && rect.y + rect.height <= canvas.height, "{layout:?} puts a tile at {rect:?}");
        }
    }
}

/// A settings file; lines `MIXDOWN_…=…` are taken as the environment. A fault is one line.
fn config(data: &[u8]) {
    use mixdown::config::{Mode, parse};
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.contains("secret_file") {
        return; // would read whatever file the bytes name
    }
    let (environment, text): (Vec<&str>, Vec<&str>) = text.split_inclusive('\n').partition(|line| line.starts_with("MIXDOWN_"));
    let pair = |line: &&str| line.trim_end().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment: Vec<_> = environment.iter().filter_map(pair).collect();
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    let faults = match parse(&text.concat(), &environment) {
        Ok(config) => config.check(Mode::Production, now),
        Err(fault) => vec![fault],
    };
    for fault in faults {
        assert!(!fault.to_string().contains('\n'), "more than one line: {fault}");
    }
}

/// A message on the data channel.
fn channel(data: &[u8]) {
    use mixdown::conference::channel::{CHAT_MAX, Up, chat_text, parse};
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Up::Chat { text }) = parse(text)
        && let Ok(shown) = chat_text(&text)
    {
        assert!(!shown.is_empty() && shown.chars().count() <= CHAT_MAX);
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "a control character goes to everybody");
    }
}

/// What an ffmpeg writes that decodes somebody's file.
fn matroska(data: &[u8]) {
    use mixdown::ingress::matroska::{Element, Reader};
    const MOST: usize = 256 << 10;
    let (mut reader, mut picture) = (Reader::new(data), None);
    while let Ok(Some(element)) = reader.element() {
        match element {
            Element::Tracks(tracks) => picture = tracks.picture,
            Element::Picture(_, frame) => assert_eq!(Some(frame.size()), picture, "of another size than was announced"),
            Element::Sound(_, samples) => assert!(samples.len() <= MOST, "{} bytes of sound", samples.len()),
        }
    }
}

/// What is left of a recording: what is found whole in it is whole, and can be listed, drawn and written anew.
fn mp4(data: &[u8]) {
    use mixdown::record::mp4::scan::{self, Found};
    use mixdown::record::mp4::{playlist, progressive};
    let Ok(begin) = scan::fragments(data) else { return };
    let film = data.get(begin as usize..).unwrap_or_default();
    let Ok(found) = scan::scan(film) else { return };
    let length = film.len() as u64;
    assert!(found.head <= found.end && found.end <= length && found.torn == (found.end < length), "{found:?} of {length} bytes");
    let whole = film.get(..found.end as usize).unwrap_or_default();
    assert_eq!(scan::scan(whole).ok(), Some(Found { torn: false, ..found }), "what is whole is whole");
    // Whether there is one, and whether it can be drawn, is another's matter.
    let _ = scan::keyframe(whole, 3);
    if let Ok(list) = playlist::write(whole, "m", true) {
        assert!(list.ends_with("#EXT-X-ENDLIST\n"));
    }
    let mut rewritten = Vec::new();
    let mut append = |bytes: &[u8]| {
        rewritten.extend_from_slice(bytes);
        Ok(())
    };
    if progressive::rewrite(whole, std::time::UNIX_EPOCH, &mut append).is_ok() {
        let begin = scan::fragments(rewritten.as_slice()).map(|begin| begin as usize);
        assert_eq!(begin.ok().and_then(|begin| rewritten.get(begin..)), Some(whole), "the film is in what was written anew");
    }
}
