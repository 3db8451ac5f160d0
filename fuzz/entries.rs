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
    ("offer", offer),
    ("fragment", fragment),
    ("datagram", datagram),
    ("header", header),
    ("address", address),
    ("convert", convert),
    ("picture", picture),
    ("journal", journal),
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
            // What is recorded as it came, from a keyframe on.
            let _ = mixdown::record::mp4::entry::of_keyframe(codec, unit);
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
    use mixdown_layouts::Layout;
    let Ok(value) = mixdown::api::json::parse(data) else { return };
    let text = value.to_string();
    assert_eq!(mixdown::api::json::parse(text.as_bytes()).ok(), Some(value.clone()), "does not survive writing and reading");
    let Ok(layout) = serde_json::from_value::<Layout>(value) else { return };
    let written = serde_json::to_value(&layout).ok().and_then(|value| serde_json::from_value::<Layout>(value).ok());
    assert_eq!(written.as_ref(), Some(&layout), "does not survive writing and reading");
    arrange(&layout);
}

/// Applies a layout to rooms of several sizes; one without faults is also drawn up.
fn arrange(layout: &mixdown_layouts::Layout) {
    use mixdown_layouts::{Cast, Person, PersonId};
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
            mixdown_layouts::preview::preview(layout, &cast, canvas, 30, [0; 3]);
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

/// An offer as browsers make it.
const OFFER: &str = include_str!("corpus/offer/browser");

/// A connection as a server has it, whose client is yet to come.
fn peer(kind: mixdown::peer::types::Kind, offer: &str) -> Option<(mixdown::peer::Peer, String)> {
    use mixdown::peer::types::{Config, Transport};
    let config = Config {
        ice_lite: true,
        candidates: vec![(Transport::Udp, server(), server())],
        video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
        audio_codecs: vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma],
        limits: LIMITS,
        connect_deadline: std::time::Duration::from_secs(15),
        initial_bitrate_bps: 1_000_000,
        max_bitrate_bps: 4_000_000,
    };
    let (peer, answer) = mixdown::peer::Peer::accept(&config, kind, offer, mixdown::runtime::clock::now()).ok()?;
    Some((peer, answer.sdp))
}

fn server() -> std::net::SocketAddr {
    ([192, 0, 3, 1], 3478).into()
}

/// An offer, from its text to the stack and its answer, as the first one of a session and as a later one.
fn offer(data: &[u8]) {
    use mixdown::peer::{offer, types::Kind};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = offer::parse(text) else { return };
    let canonical = read.render();
    assert_eq!(offer::parse(&canonical).map(|again| again.render()).as_deref(), Ok(canonical.as_str()), "reads otherwise the second time");
    let kinds = [Kind::Participant, Kind::Publisher, Kind::Viewer];
    let lines = |sdp: &str| sdp.lines().filter(|line| line.starts_with("m=")).count();
    if let Some((_, answer)) = kinds.get(data.len() % 3).and_then(|kind| peer(*kind, text)) {
        assert_eq!(lines(&answer), lines(text), "an answer has the m-lines of its offer");
    }
    if let Some((mut peer, _)) = peer(Kind::Participant, OFFER)
        && let Ok(answer) = peer.offer(text, mixdown::runtime::clock::now())
    {
        assert_eq!(lines(&answer.sdp), lines(text), "an answer has the m-lines of its offer");
    }
}

/// Trickled candidates and ICE restarts.
fn fragment(data: &[u8]) {
    use mixdown::peer::{fragment, types::Kind};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = fragment::parse(text) else { return };
    for candidate in read.candidates {
        let again = candidate.text.strip_prefix("candidate:").and_then(fragment::candidate);
        assert_eq!(again.as_ref(), Some(&candidate), "reads otherwise the second time");
        let (address, ip) = (candidate.address, candidate.address.ip());
        assert!(!fragment::may_check(address, &[address]), "the server checks itself");
        assert!(!fragment::may_check(address, &[server()]) || fragment::is_global(ip), "{ip} is reached from outside");
    }
    if let Some((mut peer, _)) = peer(Kind::Participant, OFFER) {
        let _ = peer.trickle(text, mixdown::runtime::clock::now());
    }
}

/// A stranger's datagram, at a server that knows nobody and at a connection that waits for its client: never answered.
fn datagram(data: &[u8]) {
    use mixdown::net::{Limits, hub};
    use mixdown::peer::types::{Datagram, Event, Kind, Output, Transport};
    use mixdown::peer::{Peer, stun};
    use std::cell::RefCell;
    thread_local! {
        // Strangers change nothing: what one left here would be found by the next.
        static WAITING: RefCell<(hub::Hub, Peer)> = RefCell::new((hub::Hub::new(Limits::default()), match peer(Kind::Participant, OFFER) {
            Some((peer, _)) => peer,
            None => panic!("no connection"),
        }));
    }
    if let Some(message) = stun::parse(data) {
        assert_eq!(stun::kind(data), Some(stun::Kind::Stun));
        assert!(!message.verify("a password that nobody used"), "verified by a password that it was not made with");
    }
    let now = mixdown::runtime::clock::now();
    let source = ([192, 0, 3, 7], 7777).into();
    let datagram = Datagram { transport: Transport::Udp, source, destination: server(), contents: data };
    WAITING.with_borrow_mut(|(hub, peer)| {
        hub.handle_datagram(now, &datagram);
        assert!(matches!(hub.poll_output(), hub::Output::Timeout(None)), "a stranger is answered, or remembered");
        peer.handle_datagram(&datagram, now);
        loop {
            match peer.poll_output() {
                Output::Transmit(_) => panic!("a stranger is answered"),
                Output::Event(event) => assert!(!matches!(event, Event::Closed(_)), "a stranger ends the call"),
                Output::Timeout(_) => break,
            }
        }
    });
}

/// What a request says beside its body: credentials, a range, a page of a list.
fn header(data: &[u8]) {
    use mixdown::api::{auth::Keys, page::Paging, recorded::range};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let secret = ("MIXDOWN_AUTH_KEYS".to_owned(), "main:a secret of at least thirty-two bytes".to_owned());
    let Ok(config) = mixdown::config::parse("", &[secret]) else { panic!("no keys") };
    let keys = Keys::new(&config.auth);
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    if let Ok(claims) = keys.verify(text.trim(), now) {
        // The one that was signed, in `corpus/header/token`.
        assert_eq!((claims.iss.as_str(), claims.sub.as_str(), claims.exp), ("main", "ann", 1_800_000_600), "a forged token");
    }
    for length in [0, 1, 1_000_000] {
        if let Ok(Some((first, end))) = range(text, length) {
            assert!(first < end && end <= length, "{first} to {end} of {length} bytes");
        }
    }
    let paging = serde_json::from_value::<Paging>(serde_json::json!({"limit": "3", "cursor": text}));
    let page = paging.ok().and_then(|paging| paging.page("list", (0..9).collect(), u8::to_string).ok());
    assert!(page.is_none_or(|page| page.items.len() <= 3), "more than was asked for");
}

/// Addresses that somebody names for this server to ask, and requests of an ffmpeg to its proxy.
fn address(data: &[u8]) {
    use mixdown::address::{Url, check, check_rtmp, reach};
    use mixdown::ingress::{Settings, relay::Request, source::Target};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let outside = |host: &str| host.trim_matches(['[', ']']).parse().is_ok_and(|ip| !reach(ip).is_allowed(false));
    if let Ok(url) = check(text, false) {
        assert!(url.scheme() == "https" && url.username().is_empty() && !url.host_str().is_some_and(outside), "{url} leads inside");
    }
    if let Ok(rtmp) = check_rtmp(text, false) {
        assert!(!outside(&rtmp.host), "{} leads inside", rtmp.host);
        assert!(!rtmp.path.contains(char::is_whitespace), "{:?} would be more than one argument", rtmp.path);
    }
    let _ = (check(text, true), check_rtmp(text, true));
    if let Ok(target) = Target::parse(&Settings::default(), text) {
        let shown = Url::parse(&target.shown());
        assert!(shown.is_ok_and(|url| !url.host_str().is_some_and(outside) && url.query().is_none()), "{} leads inside", target.shown());
    }
    if let Some(request) = Request::parse(data) {
        let head = request.forward.unwrap_or_default();
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        assert!(!line.contains(&b'\n') && !request.host.is_empty(), "more than one request line");
    }
}

/// Layouts of other systems. What is taken is without fault.
fn convert(data: &[u8]) {
    use mixdown_layouts::convert::{System, convert};
    let Ok(text) = std::str::from_utf8(data) else { return };
    for system in [System::Twilio, System::Vonage, System::FreeSwitch] {
        for converted in convert(system, text).into_iter().flatten() {
            assert!(converted.layout.faults().is_empty(), "{system:?}: {:?}", converted.layout.faults());
            arrange(&converted.layout);
        }
    }
}

/// A picture for a layout or a room: bytes of a file, or a `data:` URI.
fn picture(data: &[u8]) {
    use mixdown_layouts::image::{Artwork, Image, MAX_SIDE};
    if let Ok(frame) = mixdown_layouts::draw::rgb::decode(data, [16, 16, 20]) {
        assert!(frame.size().width.max(frame.size().height) <= MAX_SIDE, "{}", frame.size());
    }
    let text = std::str::from_utf8(data).ok();
    let named = text.map(Image::named);
    let by_name = named.as_ref().and_then(|image| image.load().ok());
    for art in Artwork::decode(data).iter().chain(by_name) {
        assert!(art.size.width.max(art.size.height) <= MAX_SIDE && art.pixels.len() == 4 * art.size.pixels(), "{}", art.size);
        assert!(art.pixels.chunks_exact(4).all(|rgba| rgba.iter().all(|part| *part <= rgba[3])), "brighter than it is opaque");
    }
}

/// What a dead process has left on the disk: journals and manifests, half written.
fn journal(data: &[u8]) {
    use mixdown::record::{manifest::Manifest, timeline};
    use mixdown::webhooks::journal;
    const FILM_MS: u64 = 60_000;
    let (lines, broken) = timeline::read(data);
    assert!(lines.len() + broken <= data.split(|byte| *byte == b'\n').count(), "more lines than there are");
    let written: Vec<u8> = lines.iter().flat_map(timeline::write).collect();
    assert_eq!(timeline::read(&written).0.len(), lines.len(), "does not survive writing and reading");
    let timeline = timeline::Timeline::new(lines, FILM_MS);
    let turns = &timeline.turns;
    assert!(turns.iter().all(|turn| turn.from_ms <= turn.to_ms && turn.to_ms <= FILM_MS), "{turns:?}");
    assert!(turns.windows(2).all(|pair| pair[0].to_ms <= pair[1].from_ms), "{turns:?}");
    assert!(timeline.chapters().starts_with("WEBVTT"));
    let (records, _) = journal::read(data);
    assert_eq!(journal::read(&journal::write(&records)), (records, 0), "does not survive writing and reading");
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(data) {
        let _ = (manifest.started(), manifest.ended(), manifest.bytes());
        assert!(serde_json::from_slice::<Manifest>(&manifest.json()).is_ok(), "does not survive writing and reading");
    }
}
