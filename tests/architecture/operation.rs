//! What nothing here can run is at least read: the image is built with what `make` installs and is contained as it says it is, and
//! every metric that somebody watches is counted somewhere.

use crate::source::{files, root};
use std::collections::BTreeSet;

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Packages that `tools/packages.py` wants for the build; a compiler is part of the image that it begins with.
fn wanted(packages: &str) -> BTreeSet<&str> {
    let build = packages.split("TEST = [").next().unwrap_or_default();
    let names = build.split("Need(\"").skip(1).filter_map(|rest| rest.split('"').next());
    names.filter(|name| *name != "build-essential").collect()
}

fn image(dockerfile: &str, packages: &str, rust: &str) -> Vec<String> {
    let stages: Vec<&str> = dockerfile.split("\nFROM ").collect();
    let (Some(build), Some(last)) = (stages.get(1), stages.last().filter(|_| stages.len() > 2)) else {
        return vec!["the image is not built in stages".into()];
    };
    let installs = build.split("apt-get install").nth(1).and_then(|rest| rest.split("&&").next()).unwrap_or_default();
    let words: BTreeSet<&str> = installs.split_whitespace().collect();
    let mut found: Vec<String> =
        wanted(packages).difference(&words).map(|name| format!("make installs {name}, the image does not")).collect();
    if !build.starts_with(&format!("rust:{rust}-")) {
        found.push(format!("the image is not built with Rust {rust}"));
    }
    let user = last.lines().filter_map(|line| line.strip_prefix("USER ")).next_back().unwrap_or("root");
    if user.split(':').next().is_none_or(|id| id.parse::<u32>().is_err() || id == "0") {
        found.push(format!("the program runs as {user}"));
    }
    let needs = ["HEALTHCHECK ", "STOPSIGNAL SIGTERM", "ENTRYPOINT [\"/usr/local/bin/mixdown\"]", " ffmpeg", "VOLUME /var/lib/mixdown"];
    found.extend(needs.iter().filter(|need| !last.contains(**need)).map(|need| format!("the image has no {}", need.trim())));
    found
}

/// Services of a compose file: name and lines.
fn services(compose: &str) -> Vec<(&str, String)> {
    let within = compose.split("\nservices:\n").nth(1).and_then(|rest| rest.split("\n\nnetworks:").next()).unwrap_or_default();
    let mut all: Vec<(&str, String)> = Vec::new();
    for line in within.lines() {
        match line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')).filter(|name| !name.starts_with(' ')) {
            Some(name) => all.push((name, String::new())),
            None => all.last_mut().into_iter().for_each(|(_, lines)| *lines += &format!("{line}\n")),
        }
    }
    all
}

fn composition(compose: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let contained = compose.split("\nservices:\n").next().unwrap_or_default();
    let rules = ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"];
    let mut found: Vec<String> =
        rules.iter().filter(|rule| !contained.contains(**rule)).map(|rule| format!("nothing says {rule}")).collect();
    let services = services(compose);
    for wanted in ["mixdown", "turn", "prometheus", "grafana"] {
        if services.iter().all(|(name, _)| *name != wanted) {
            found.push(format!("there is no {wanted}"));
        }
    }
    for (name, lines) in &services {
        if !lines.contains("<<: *contained") || lines.contains("privileged:") {
            found.push(format!("{name} is not contained"));
        }
        let image = lines.lines().find_map(|line| line.trim().strip_prefix("image: ")).unwrap_or_default();
        if *name != "mixdown" && !image.rsplit(':').next().is_some_and(|tag| tag.contains('.')) {
            found.push(format!("{name} is of no fixed version: {image}"));
        }
        let mounts = lines.lines().filter_map(|line| line.trim().strip_prefix("- ./")?.split(':').next());
        found.extend(mounts.filter(|path| !exists(path)).map(|path| format!("{name} mounts {path}, which is not there")));
    }
    found
}

/// All names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !plain(c)).filter(|word| word.starts_with("mixdown_"));
    words.filter(|word| !matches!(*word, "mixdown_" | "mixdown_codecs" | "mixdown_layouts")).collect()
}

/// Without what a histogram adds to its name.
fn base<'a>(name: &'a str, known: &BTreeSet<&str>) -> &'a str {
    let mut stems = ["_bucket", "_sum", "_count"].into_iter().filter_map(|end| name.strip_suffix(end));
    stems.find(|stem| known.contains(stem)).unwrap_or(name)
}

#[test]
fn the_image_has_what_make_installs_and_runs_as_nobody() {
    let manifest = text("Cargo.toml");
    let rust = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    crate::none(image(&text("Dockerfile"), &text("tools/packages.py"), rust));
}

#[test]
fn an_image_that_lacks_something_is_found() {
    let (dockerfile, packages) = (text("Dockerfile"), text("tools/packages.py"));
    for (from, to) in
        [(" nasm ", " "), ("USER 10001:10001", "USER root"), ("HEALTHCHECK ", "# "), (" ffmpeg", ""), ("rust:1.95", "rust:latest")]
    {
        assert!(dockerfile.contains(from));
        assert_eq!(image(&dockerfile.replacen(from, to, 1), &packages, "1.95").len(), 1, "{from}");
    }
    assert!(wanted(&packages).contains("libvpx-dev"));
}

#[test]
fn every_container_is_contained_and_what_it_mounts_is_there() {
    crate::none(composition(&text("docker-compose.yml"), |path| root().join(path).exists()));
    let volume = text("config/docker.toml");
    assert!(volume.contains("folder = \"/var/lib/mixdown/"), "recordings lie where they outlive the container");
}

#[test]
fn a_container_that_is_not_contained_is_found() {
    let compose = text("docker-compose.yml");
    for (from, to) in [
        ("read_only: true", "read_only: false"),
        ("  grafana:\n    <<: *contained", "  grafana:"),
        ("grafana/grafana:12.1.0", "grafana/grafana:latest"),
        ("./config/coturn.conf", "./config/turn.conf"),
    ] {
        assert!(compose.contains(from));
        let changed = compose.replacen(from, to, 1);
        assert_eq!(composition(&changed, |path| root().join(path).exists()).len(), 1, "{from}");
    }
}

#[test]
fn every_metric_is_described_and_every_one_that_is_shown_is_counted() {
    let code: String = files("src", |name| name.ends_with(".rs")).into_iter().map(|(_, text)| text).collect();
    // What is said of a metric is a pair of name and text.
    let (said, code): (String, String) = code.split_inclusive('\n').partition(|line| line.trim_start().starts_with("(\"mixdown_"));
    let quoted = |name: &&str| code.contains(&format!("\"{name}\""));
    let counted: BTreeSet<&str> = metrics(&code).into_iter().filter(quoted).collect();
    assert!(counted.len() > 40, "{counted:?}");
    let (readme, ledger) = (text("README.md"), text("src/ledger.rs"));
    let missing: Vec<_> = counted.difference(&metrics(&readme)).copied().collect();
    assert!(missing.is_empty(), "README does not say what these are: {missing:?}");
    // The ledger says its own, and of the recorder's two are in no pair.
    let mut said = metrics(&said);
    let idle: Vec<_> = said.difference(&counted).collect();
    assert!(idle.is_empty(), "nobody counts these: {idle:?}");
    said.extend(metrics(&ledger));
    said.extend(["mixdown_http_request_seconds", "mixdown_build_info"]);
    let missing: Vec<_> = counted.difference(&said).collect();
    assert!(missing.is_empty(), "/metrics does not say what these are: {missing:?}");
    for path in ["README.md", "docs/api.md", "docs/bench.md", "config/grafana/dashboards/mixdown.json"] {
        let shown = text(path);
        let unknown: Vec<_> = metrics(&shown).into_iter().filter(|name| !counted.contains(base(name, &counted))).collect();
        assert!(unknown.is_empty(), "{path} shows what nobody counts: {unknown:?}");
    }
}
