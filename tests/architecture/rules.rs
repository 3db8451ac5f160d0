//! The rules. Each gives one line per finding: where, what, and what is allowed instead.

use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The modules of the crate from the ground up. A module may use those on lower floors; nobody looks up or sideways.
const FLOORS: &[&[&str]] = &[
    &["ids", "address", "chart", "process", "ledger", "urgency"],
    &["media", "cadence", "overload"],
    &["room", "audio", "peer"],
    &["client", "pipeline"],
    &["record", "net", "webhooks", "ingress"],
    &["egress"],
    &["conference"],
    &["config", "compose"],
    &["api", "demo"],
    &["runtime", "bench"],
    &["main", "lib", "cli"],
];

/// What may be used against that order: the clock by drivers (see [`clock`]), and plain data between neighbours.
const DOORS: &[(&str, &str)] = &[("room", "peer::types"), ("api", "runtime::version"), ("", "runtime::clock")];

pub fn floors(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let Some(own) = floor(source.module()) else {
            findings
                .push(format!("{}: the module has no floor; give it one in tests/architecture/rules.rs and ARCHITECTURE.md", source.path));
            continue;
        };
        for named in source.named() {
            let (Some(target), path) = (named.path.first(), named.path.join("::")) else { continue };
            if let Some(other) = floor(target)
                && other >= own
                && target != source.module()
                && !has_door(source.module(), &path)
            {
                findings.push(format!(
                    "{}:{}: {} may not use {path}: floor {own} looks up to {other}",
                    source.path,
                    named.line,
                    source.module()
                ));
            }
        }
    }
    findings
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn has_door(from: &str, path: &str) -> bool {
    DOORS.iter().any(|(who, what)| (who.is_empty() || *who == from) && (path == *what || path.starts_with(&format!("{what}::"))))
}

pub fn circles(sources: &[Source]) -> Vec<String> {
    let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/") && !matches!(source.module(), "main" | "lib")) {
        let targets = source.named().into_iter().filter(|named| !has_door(source.module(), &named.path.join("::")));
        let targets =
            targets.filter_map(|named| named.path.into_iter().next()).filter(|target| target != source.module() && floor(target).is_some());
        uses.entry(source.module()).or_default().extend(targets);
    }
    // What reaches nothing but finished modules is finished; what is left over goes round.
    while let Some(done) =
        uses.iter().find(|(_, targets)| targets.iter().all(|target| !uses.contains_key(target.as_str()))).map(|(module, _)| *module)
    {
        uses.remove(done);
    }
    if uses.is_empty() { Vec::new() } else { vec![format!("these modules import each other in a circle: {:?}", uses.keys())] }
}

const PURE: &[&str] = &[
    "src/room/",
    "src/audio/",
    "src/peer/",
    "src/cadence",
    "src/ids",
    "src/ledger.rs",
    "src/media",
    "src/config",
    "src/record/mp4/",
    "src/record/manifest.rs",
    "src/record/queue.rs",
    "src/record/session",
    "src/record/timeline.rs",
    "src/address.rs",
    "src/overload/admission.rs",
    "src/pipeline/allowance.rs",
    "src/overload/governor.rs",
    "src/overload/guard.rs",
    "src/overload/step.rs",
    "src/ingress/arguments.rs",
    "src/ingress/matroska.rs",
    "src/ingress/queue.rs",
    "src/ingress/transport.rs",
    "src/egress/hls.rs",
    "src/egress/life.rs",
    "src/egress/mux.rs",
    "src/egress/target.rs",
    "src/bench/chart.rs",
    "src/bench/figures.rs",
    "src/bench/guard.rs",
    "src/bench/ivf.rs",
    "src/bench/ramp.rs",
    "src/bench/sender.rs",
    "src/bench/setup.rs",
    "src/bench/viewer.rs",
    "src/webhooks/filter.rs",
    "src/webhooks/journal.rs",
    "src/webhooks/outbox.rs",
    "src/webhooks/retry.rs",
    "src/webhooks/sign.rs",
    "codecs/src/",
    "layouts/src/",
];
const IMPURE: &[&str] = &[
    "tokio",
    "crossbeam_channel",
    "rayon",
    "socket2",
    "reqwest",
    "axum",
    "std::thread",
    "std::fs",
    "std::process",
    "std::sync::mpsc",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "runtime::clock::now",
    "runtime::clock::wall",
];

/// Files in pure places that may nevertheless touch one of those things, and why.
const ALLOWED_TOUCH: &[(&str, &str)] = &[("src/config/load.rs", "std::fs"), ("src/address.rs", "reqwest")];

pub fn purity(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| PURE.iter().any(|place| source.path.starts_with(place))) {
        for (line, code) in source.lines() {
            let code = flatten_std(code);
            for thing in IMPURE.iter().filter(|thing| has_word(&code, thing) && !ALLOWED_TOUCH.contains(&(source.path.as_str(), thing))) {
                findings.push(format!("{}:{line}: {thing} in pure code; a driver does that and passes values", source.path));
            }
        }
    }
    findings
}

/// Writes `use std::{a, b::c};` as `std::a std::b::c`, so that words are found behind braces.
fn flatten_std(code: &str) -> String {
    match code.trim_start().strip_prefix("use std::{") {
        Some(list) => list.split(',').map(|item| format!("std::{} ", item.trim().trim_end_matches(['}', ';', ' ']))).collect(),
        None => code.into(),
    }
}

/// `word` in `code`, not as a part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let inside = |c: char| c == '_' || c.is_alphanumeric();
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(inside) && !code[at + word.len()..].starts_with(inside))
}

/// The drivers: they read the clock once per turn and hand the time down.
const DRIVERS: &[&str] = &[
    "src/cli/",
    "src/runtime/",
    "src/api/",
    "src/demo/",
    "src/bench/datagrams.rs",
    "src/bench/meter.rs",
    "src/bench/run.rs",
    "src/client/session.rs",
    "src/conference/actor",
    "src/conference/directory.rs",
    "src/conference/requests.rs",
    "src/conference/describe.rs",
    "src/ingress/driver.rs",
    "src/net/driver",
    "src/pipeline/pool.rs",
    "src/pipeline/ticker.rs",
    "src/pipeline/workers.rs",
    "src/pipeline/mix",
    "src/record/driver.rs",
    "src/egress/board.rs",
    "src/egress/driver.rs",
    "src/egress/images.rs",
    "src/egress/rtmp.rs",
    "src/egress/whip.rs",
    "src/record/upload/driver.rs",
    "src/webhooks/driver.rs",
];

pub fn clock(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path != "src/runtime/clock.rs") {
        for (line, code) in source.lines() {
            for read in ["Instant::now", "SystemTime::now", ".elapsed()", "UtcDateTime::now", "OffsetDateTime::now"] {
                if code.contains(read) {
                    findings.push(format!("{}:{line}: {read} reads the clock; only src/runtime/clock.rs does", source.path));
                }
            }
        }
        if DRIVERS.iter().any(|driver| source.path.starts_with(driver)) {
            continue;
        }
        for named in source.named().iter().filter(|named| named.path.starts_with(&["runtime".into(), "clock".into()])) {
            // It writes a time that is given.
            if named.path.last().is_some_and(|name| name == "rfc3339") {
                continue;
            }
            findings.push(format!("{}:{}: only drivers ask for the time; take `now` as a parameter", source.path, named.line));
        }
    }
    findings
}

/// What the lower crates may depend on. A new name here is a decision, not a detail.
const CRATES: &[(&str, &[&str])] = &[
    ("codecs", &["openh264", "openh264-sys2", "libvpx-native-sys", "opus", "thiserror"]),
    (
        "layouts",
        &[
            "mixdown-codecs",
            "fast_image_resize",
            "cosmic-text",
            "tiny-skia",
            "notosans",
            "unicode-segmentation",
            "image",
            "yuv",
            "serde",
            "serde_json",
            "thiserror",
        ],
    ),
];

pub fn manifest_rule(crate_name: &str, manifest: &str) -> Vec<String> {
    let allowed = CRATES.iter().find(|(name, _)| *name == crate_name).map_or(&[][..], |(_, allowed)| allowed);
    let table: toml::Table = match manifest.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("{crate_name}/Cargo.toml: {error}")],
    };
    let mut found = BTreeSet::new();
    dependencies(&table, &mut found);
    let strangers = found.into_iter().filter(|name| !allowed.contains(&name.as_str()));
    strangers.map(|name| format!("{crate_name}/Cargo.toml: {crate_name} may not depend on {name}")).collect()
}

/// Normal and build dependencies, for every target.
fn dependencies(table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        match key.as_str() {
            "dependencies" | "build-dependencies" => found.extend(inner.keys().cloned()),
            "target" => inner.values().filter_map(toml::Value::as_table).for_each(|target| dependencies(target, found)),
            _ => {}
        }
    }
}

pub fn layouts_see_frames_alone(sources: &[Source]) -> Vec<String> {
    const FRAMES: [&str; 5] = ["frame", "I420Frame", "Size", "FramePool", "{"];
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("layouts/src/")) {
        for (at, found) in source.code.match_indices("mixdown_codecs::") {
            let rest = &source.code[at + found.len()..];
            let list = rest.strip_prefix('{').map(|list| list.split(['}', ';']).next().unwrap_or_default());
            let names = list.map_or_else(|| vec![rest], |list| list.split(',').collect());
            let line = source.code[..at].matches('\n').count() + 1;
            for name in names.into_iter().map(first_word).filter(|name| !name.is_empty() && !FRAMES.contains(name)) {
                findings.push(format!("{}:{line}: layouts see frames alone, not {name}", source.path));
            }
        }
    }
    findings
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len())]
}

pub fn codecs_know_no_rooms(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("codecs/src/")) {
        for (line, code) in source.lines() {
            let lower = code.to_lowercase();
            if ["room", "participant", "mixdown_layouts", "rendition"].iter().any(|word| lower.contains(word)) {
                findings.push(format!("{}:{line}: codecs know frames and bytes alone: {}", source.path, code.trim()));
            }
        }
    }
    findings
}

pub fn unsafety(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let codecs = source.path.starts_with("codecs/src/");
        for (line, code) in source.lines() {
            let word = ["unsafe", "extern"].into_iter().find(|word| has_word(code, word) && !code.contains("extern crate"));
            if let Some(word) = word
                && (!codecs || !FOREIGN.iter().any(|file| source.path.starts_with(file)))
            {
                findings.push(format!("{}:{line}: {word} outside of {}", source.path, FOREIGN.join(", ")));
            }
        }
    }
    findings
}

/// The files of codecs that call foreign code.
const FOREIGN: &[&str] = &["codecs/src/h264", "codecs/src/vp8", "codecs/src/opus", "codecs/src/memory.rs", "codecs/src/versions.rs"];

/// The crate that speaks to the network's peers, and what must never be switched off in it.
pub fn wire(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let owner = source.path.starts_with("src/peer/") || source.path.starts_with("src/client/");
        for (line, code) in source.lines() {
            if has_word(code, "str0m") && !owner {
                findings.push(format!("{}:{line}: str0m outside of peer and client", source.path));
            }
            if has_word(code, "set_fingerprint_verification") {
                findings.push(format!("{}:{line}: certificates are always checked against their fingerprint", source.path));
            }
        }
    }
    findings
}

const LONGEST_FILE: usize = 500;
/// A screen is 70 lines; beyond this a function is two.
const LONGEST_FUNCTION: usize = 100;

pub fn lengths(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        if source.length > LONGEST_FILE {
            findings.push(format!("{}: {} lines without its tests, at most {LONGEST_FILE}", source.path, source.length));
        }
        for (line, length) in functions(&source.code).into_iter().filter(|(_, length)| *length > 70) {
            let text = format!("{}:{line}: a function of {length} lines, at most {LONGEST_FUNCTION}", source.path);
            if length > LONGEST_FUNCTION { findings.push(text) } else { println!("{text} (over a screen of 70)") }
        }
    }
    findings
}

/// First line and length of every function in formatted code: it ends at the brace that stands under its beginning.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| has_word(line, "fn") && line.trim_end().ends_with(['{', '('])) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = lines[index..].iter().position(|line| line.trim_end() == format!("{indent}}}"));
        found.push((index + 1, end.unwrap_or(0) + 1));
    }
    found
}

/// Paths of somebody's machine, unfinished business.
pub fn leftovers(path: &str, text: &str) -> Vec<String> {
    const MARKS: [&str; 8] = ["/home/", "/root/", "/Users/", "/tmp/bash", "TODO", "FIXME", "XXX", "//! Placeholder"];
    let lines = text.lines().enumerate();
    let marked = lines.filter_map(|(index, line)| MARKS.iter().find(|mark| line.contains(**mark)).map(|mark| (index + 1, mark)));
    marked.map(|(line, mark)| format!("{path}:{line}: {mark}")).collect()
}
