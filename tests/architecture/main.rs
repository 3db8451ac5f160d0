//! The rules of ARCHITECTURE.md, held by a test: who may know whom, where time is read, where foreign code is called,
//! how long a file may be. Each rule is a function from sources to findings, tried on the tree and on a sample that breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test or bench may fail loudly")]

mod catalogue;
mod operation;
mod rules;
mod source;

use rules::*;
use source::{Source, files, product, test_modules};

fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Checks that `rule` finds exactly one thing in `text` as the file `path`.
fn one(rule: fn(&[Source]) -> Vec<String>, path: &str, text: &str) {
    let findings = rule(&[Source::new(path, text)]);
    assert_eq!(findings.len(), 1, "{path}: {text:?} gave {findings:?}");
}

fn nothing(rule: fn(&[Source]) -> Vec<String>, path: &str, text: &str) {
    none(rule(&[Source::new(path, text)]));
}

#[test]
fn modules_of_tests_are_told_from_product_code() {
    let text = "mod a;\n#[cfg(test)]\nmod fake;\n#[cfg(test)]\nmod inline {\n}\n#[cfg(test)] pub mod tests;";
    assert_eq!(test_modules("src/room/mod.rs", text), ["src/room/fake", "src/room/tests"]);
    assert_eq!(test_modules("src/room.rs", text), ["src/room/fake", "src/room/tests"]);
    assert!(product().iter().all(|source| !source.path.ends_with("/tests.rs")));
}

#[test]
fn nobody_looks_up_the_floors() {
    let sources = product();
    assert!(sources.len() > 30, "the tree was not found");
    none(floors(&sources));
}

#[test]
fn a_look_up_the_floors_is_found() {
    one(floors, "src/room/mod.rs", "use crate::conference::Directory;");
    one(floors, "src/audio/mixer.rs", "fn f(room: &crate::room::Room) {}");
    one(floors, "src/ids.rs", "use crate::{\n  media::AudioIn,\n};");
    one(floors, "src/net/hub.rs", "use super::super::api;");
    one(floors, "src/config.rs", "use super::demo::Bot;");
    one(floors, "src/peer/mod.rs", "use crate::{ids::{RoomId, ViewId}, media, net::Handle};");
    one(floors, "src/api/routes.rs", "use crate::runtime::wiring;");
    one(floors, "src/brand_new/mod.rs", "");
    nothing(floors, "src/conference/actor.rs", "use crate::{net::{self, Hub as H}, room::*};\npub(crate) fn f() {}");
    nothing(
        floors,
        "src/room/mod.rs",
        "// use crate::api;\nconst S: &str = \"crate::api\"; const C: char = '\"';\n#[cfg(test)] mod tests { use crate::api; }",
    );
}

#[test]
fn modules_do_not_import_in_a_circle() {
    none(circles(&product()));
}

#[test]
fn a_circle_is_found() {
    let circle = [Source::new("src/room/mod.rs", "use crate::peer::Kind;"), Source::new("src/peer/mod.rs", "use crate::room::Room;")];
    assert_eq!(circles(&circle).len(), 1);
}

#[test]
fn pure_code_knows_no_thread_task_socket_file_or_clock() {
    none(purity(&product()));
}

#[test]
fn impure_code_in_a_pure_place_is_found() {
    one(purity, "src/room/mod.rs", "use tokio::sync::mpsc;");
    one(purity, "src/audio/mixer.rs", "use std::{collections::BTreeMap, thread};");
    one(purity, "src/peer/mod.rs", "fn f() { std::net::UdpSocket::bind(a); }");
    one(purity, "src/room/mod.rs", "let n = crate::runtime::clock::now();");
    one(purity, "codecs/src/vp8.rs", "use std::thread::spawn;");
    one(purity, "layouts/src/scene.rs", "use std::fs::File;");
    nothing(purity, "src/net/driver.rs", "use tokio::net::UdpSocket;");
    nothing(purity, "layouts/src/draw/text.rs", "thread_local! {}");
}

#[test]
fn time_is_read_in_one_place_and_asked_for_by_drivers_alone() {
    none(clock(&product()));
}

#[test]
fn a_hidden_look_at_the_clock_is_found() {
    one(clock, "src/net/hub.rs", "let now = Instant::now();");
    one(clock, "src/api/mod.rs", "let now = std::time::SystemTime::now();");
    one(clock, "src/conference/actor.rs", "if start.elapsed() > LIMIT {}");
    one(clock, "src/pipeline/stall.rs", "use crate::runtime::clock;");
    nothing(clock, "src/runtime/clock.rs", "Instant::now()");
    nothing(clock, "src/pipeline/ticker.rs", "crate::runtime::clock::now()");
}

#[test]
fn the_crates_know_only_whom_they_may() {
    let manifest = |path: &str| std::fs::read_to_string(source::root().join(path)).unwrap();
    none(manifest_rule("codecs", &manifest("codecs/Cargo.toml")));
    none(manifest_rule("layouts", &manifest("layouts/Cargo.toml")));
    none(layouts_see_frames_alone(&product()));
    none(codecs_know_no_rooms(&product()));
}

#[test]
fn a_crate_that_knows_too_much_is_found() {
    assert_eq!(manifest_rule("codecs", "[dependencies]\ntokio = \"1\"\nopus = \"0.4\"").len(), 1);
    assert_eq!(manifest_rule("codecs", "[target.'cfg(unix)'.dependencies]\nrayon = \"1\"").len(), 1);
    assert_eq!(manifest_rule("layouts", "[dependencies.mixdown]\npath = \"..\"").len(), 1);
    one(layouts_see_frames_alone, "layouts/src/draw/mod.rs", "use mixdown_codecs::vp8::Encoder;");
    one(layouts_see_frames_alone, "layouts/src/draw/mod.rs", "use mixdown_codecs::{Size, VideoDecoder};");
    nothing(layouts_see_frames_alone, "layouts/src/draw/mod.rs", "use mixdown_codecs::{Size, I420Frame, frame::Planes};");
    one(codecs_know_no_rooms, "codecs/src/frame.rs", "pub struct RoomFrame;");
    one(codecs_know_no_rooms, "codecs/src/frame.rs", "use mixdown_layouts::Scene;");
}

#[test]
fn foreign_code_stays_in_the_codecs() {
    none(unsafety(&product()));
    for file in ["src/lib.rs", "layouts/src/lib.rs"] {
        let text = std::fs::read_to_string(source::root().join(file)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file} does not forbid unsafe code");
    }
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    one(unsafety, "src/net/hub.rs", "unsafe { transmute(x) }");
    one(unsafety, "codecs/src/frame.rs", "fn f() {\n\n\n\n\n  unsafe { g() }\n}");
    one(unsafety, "src/api/mod.rs", "extern \"C\" fn f() {}");
    nothing(unsafety, "src/net/hub.rs", "// unsafe\n#![forbid(unsafe_code)]");
    nothing(unsafety, "codecs/src/h264/raw.rs", "unsafe { g() }");
}

#[test]
fn the_stack_of_the_wire_has_one_owner() {
    none(wire(&product()));
}

#[test]
fn a_wire_type_out_of_place_is_found() {
    one(wire, "src/net/hub.rs", "use str0m::Rtc;");
    one(wire, "src/room/mod.rs", "rtc.set_fingerprint_verification(false);");
    one(wire, "src/peer/mod.rs", "rtc.set_fingerprint_verification(false);");
    nothing(wire, "src/peer/mod.rs", "use str0m::Rtc;");
}

#[test]
fn no_file_and_no_function_outgrows_a_reader() {
    none(lengths(&product()));
}

#[test]
fn what_outgrows_a_reader_is_found() {
    one(lengths, "src/room/mod.rs", &"const A: u8 = 1;\n".repeat(501));
    one(lengths, "src/room/mod.rs", &format!("pub fn long() {{\n{}}}\n", "    step();\n".repeat(101)));
    nothing(lengths, "src/room/mod.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    step();\n".repeat(900)));
}

#[test]
fn the_tree_names_no_machine_and_leaves_no_note_to_self() {
    let texts = |name: &str| {
        [".rs", ".toml", ".md", ".py", ".js", ".mjs", ".html", ".css", ".yml", ".json", "Makefile", "Dockerfile"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let tree = files("", texts);
    assert!(tree.len() > 40, "the tree was not found");
    none(
        tree.iter()
            .filter(|(path, _)| !path.starts_with("tests/architecture/") && !path.ends_with("lock.json"))
            .flat_map(|(path, text)| leftovers(path, text))
            .collect(),
    );
}

#[test]
fn a_machine_s_path_or_a_note_to_self_is_found() {
    assert_eq!(leftovers("README.md", "see /home/ann/mixdown").len(), 1);
    assert_eq!(leftovers("src/lib.rs", "// TODO: all of it").len(), 1);
    assert_eq!(leftovers("src/lib.rs", "//! Placeholder.").len(), 1);
    assert_eq!(leftovers("README.md", "all is well").len(), 0);
}
