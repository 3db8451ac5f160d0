//! Settings: the commented file, the environment, and one line for every bad value.

use crate::world::{SECRET, wall};
use mixdown::config::{Config, DEFAULT_FILE, Fault, IceLite, Mode, parse};
use toml::{Table, Value};

const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn faults(text: &str, mode: Mode) -> Vec<Fault> {
    match parse(text, &[]) {
        Ok(config) => config.check(mode, wall()),
        Err(fault) => vec![fault],
    }
}

fn leaves(prefix: &str, table: &Table, into: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => leaves(&format!("{prefix}{key}."), inner, into),
            _ => into.push(format!("{prefix}{key}")),
        }
    }
}

#[test]
fn the_commented_file_equals_the_defaults_and_has_every_key() {
    assert_eq!(parse(DEFAULT_FILE, &[]).expect("good"), Config::default());
    let (mut there, mut wanted) = (Vec::new(), Vec::new());
    leaves("", &DEFAULT_FILE.parse().expect("TOML"), &mut there);
    leaves("", &Table::try_from(Config::default()).expect("TOML"), &mut wanted);
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted);
}

#[test]
fn the_examples_in_the_comments_are_good() {
    let uncommented: String = DEFAULT_FILE
        .lines()
        .filter(|line| !["keys = []", "ice_servers = []", "endpoints = []"].iter().any(|empty| line.starts_with(empty)))
        .map(|line| line.strip_prefix("#   ").unwrap_or(line).to_owned() + "\n")
        .collect();
    // Arrays of tables end the section: they must come last.
    let (mut sections, mut arrays, mut in_array) = (String::new(), String::new(), false);
    for line in uncommented.lines() {
        in_array = line.starts_with("[[")
            || (in_array && !line.starts_with('[') && !line.starts_with('#') && line.contains(" = ") && !line.starts_with("max_ttl"));
        let target = if in_array { &mut arrays } else { &mut sections };
        *target += &format!("{line}\n");
    }
    let environment = [("TURN_SECRET", "north"), ("MIXDOWN_SECRET", SECRET), ("WEBHOOK_SECRET", WEBHOOK_SECRET)];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = parse(&(sections + &arrays), &environment).expect("good");
    assert_eq!((config.auth.keys.len(), config.net.ice_servers.len(), config.webhooks.endpoints.len()), (1, 1, 1));
    assert_eq!(config.check(Mode::Production, wall()), []);
}

#[test]
fn dev_needs_nothing_and_any_other_start_needs_a_strong_secret() {
    assert_eq!(faults("", Mode::Dev), []);
    let key = |secret: &str| format!("[[auth.keys]]\nid = \"main\"\nsecret = \"{secret}\"\n");
    assert_eq!(faults(&key(SECRET), Mode::Production), []);
    for (secret, why) in [
        ("", "shorter"),
        ("tiny", "shorter"),
        (&"a".repeat(40), "repeats"),
        ("changeme-changeme-changeme-changeme", "example"),
        ("an-example-secret-that-ends-like-secret", "example"),
    ] {
        let found = faults(&key(secret), Mode::Production);
        assert!(found.iter().any(|fault| fault.key == "auth.keys[0].secret" && fault.fault.contains(why)), "{secret}: {found:?}");
        assert!(secret.is_empty() || !format!("{found:?}").contains(secret), "a secret is never shown");
    }
    let retired = format!("{}not_after = \"2020-01-01T00:00:00Z\"\n", key(SECRET));
    assert_eq!(faults(&retired, Mode::Production)[0].key, "auth.keys");
    assert_eq!(faults("", Mode::Production)[0].key, "auth.keys");
    assert_eq!(faults("[http]\nbind = \"0.0.0.0:8080\"", Mode::Dev)[0].key, "http.bind");
}

#[test]
fn every_bad_value_is_one_line_that_names_key_and_remedy() {
    for (text, key) in [
        ("[http]\nbnid = \"x\"", "http.bnid"),
        ("[htpp]\n", "htpp"),
        ("[http]\nbind = \"localhost\"", "http.bind"),
        ("[http]\nbind = 8080", "http.bind"),
        ("[http]\nheader_timeout_ms = \"10s\"", "http.header_timeout_ms"),
        ("[http]\nheader_timeout_ms = -1", "http.header_timeout_ms"),
        ("[http]\nheader_timeout_ms = 1.5", "http.header_timeout_ms"),
        ("[http]\nbody_limit_bytes = 1", "http.body_limit_bytes"),
        ("[http]\nbind = \"127.0.0.1:1\"\nbind = \"127.0.0.1:2\"", "line 3"),
        ("[http\n", "line 1"),
        ("[http]\ncors_origins = [\"*\"]", "http.cors_origins[0]"),
        ("[http]\ncors_origins = [\"https://a.example/path\"]", "http.cors_origins[0]"),
        ("[http]\nbind = \"127.0.0.1:3478\"\n[net]\nbind = [\"127.0.0.1\"]", "net.port"),
        ("[net]\nport = 70000", "net.port"),
        ("[net]\nbind = [\"10.0.0.0/8\"]", "net.bind[0]"),
        ("[net]\nadvertised_addresses = [\"0.0.0.0\"]", "net.advertised_addresses[0]"),
        ("[net]\nice_lite = \"yes\"", "net.ice_lite"),
        ("[[net.ice_servers]]\nurls = [\"turn:t.example\"]", "net.ice_servers[0].secret"),
        ("[[net.ice_servers]]\nurls = [\"http://t.example\"]", "net.ice_servers[0].urls"),
        ("[[net.ice_servers]]\nurls = [\"stun:a>; rel=x\"]", "net.ice_servers[0].urls"),
        ("[[net.ice_servers]]\nurls = [\"turn:t.example\"]\nsecret = \"$NOT_SET\"", "net.ice_servers[0].secret"),
        ("[rooms]\nlayout = \"mosaic\"", "rooms.layout"),
        ("[rooms]\nmax_rooms = 0", "rooms.max_rooms"),
        ("[rooms.canvas]\nwidth = 101", "rooms.canvas.width"),
        ("[rooms.canvas]\nfps = 0", "rooms.canvas.fps"),
        ("[rooms.canvas]\nbackground = \"black\"", "rooms.canvas.background"),
        ("[video]\ncodecs = [\"av1\"]", "video.codecs"),
        ("[video]\ncodecs = []", "video.codecs"),
        ("[video]\nfonts = [\"/no/such/font.ttf\"]", "video.fonts[0]"),
        ("[audio]\nloudest = 0", "audio.loudest"),
        ("[[auth.keys]]\nid = \"a b\"\nsecret = \"wIq7cC1nQ0gYx5uB2kR8sT4vZ9mE6hJ3\"", "auth.keys[0].id"),
        ("[[auth.keys]]\nid = \"a\"\nsecret = \"$NOT_SET\"", "auth.keys[0].secret"),
        ("[[auth.keys]]\nid = \"a\"\nsecret_file = \"/no/such/file\"", "auth.keys[0].secret_file"),
        (
            "[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"http://a.example/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]",
            "webhooks.endpoints[0].url",
        ),
        (
            "[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"https://127.0.0.1/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]",
            "webhooks.endpoints[0].url",
        ),
        (
            "[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"https://a.example:6379/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]",
            "webhooks.endpoints[0].url",
        ),
        ("[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"https://a.example/\"\nsecrets = [\"secret\"]", "webhooks.endpoints[0].secrets[0]"),
        (
            "[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"https://a.example/\"\nsecrets = [\"$NOT_SET\"]",
            "webhooks.endpoints[0].secrets[0]",
        ),
        (
            "[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"https://a.example/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\nevents = [\"rooms.*\"]",
            "webhooks.endpoints[0].events",
        ),
        (
            "[[webhooks.endpoints]]\nid = \"crm\"\nurl = \"https://a.example/\"\nsecrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\nevents = [\"nothing.*\"]",
            "webhooks.endpoints[0].events",
        ),
        ("[recordings]\nfolder = \"\"", "recordings.folder"),
        ("[recordings]\nmax_duration_ms = 10", "recordings.max_duration_ms"),
        ("[egress]\nffmpeg = \" \"", "egress.ffmpeg"),
        ("[egress]\nhls_segment_ms = 100", "egress.hls_segment_ms"),
        ("[recordings]\nfragment_ms = 50", "recordings.fragment_ms"),
        ("[recordings]\nreserve_percent = 90", "recordings.reserve_percent"),
        ("[recordings.upload]\nurl = \"ftp://films\"", "recordings.upload.url"),
        ("[recordings.upload]\nurl = \"s3://films/../x\"", "recordings.upload.url"),
        ("[recordings.upload]\nurl = \"s3://films\"\nendpoint = \"example.org\"", "recordings.upload.endpoint"),
        ("[recordings.upload]\nurl = \"s3://films\"\naccess_key_id = \"x\"", "recordings.upload.access_key_id"),
        (
            "[recordings.upload]\nurl = \"s3://films\"\naccess_key_id = \"x\"\nsecret_access_key = \"$NOT_SET\"",
            "recordings.upload.secret_access_key",
        ),
        ("[recordings.upload]\npart_bytes = 1000", "recordings.upload.part_bytes"),
        ("[recordings.upload]\ntimeout_ms = 1", "recordings.upload.timeout_ms"),
        ("[overload]\nup_cpu_percent = 95", "overload.up_cpu_percent"),
        ("[overload]\nadmission_cpu_percent = 0", "overload.admission_cpu_percent"),
        ("[webhooks]\nmax_bytes = 1", "webhooks.max_bytes"),
        ("[log]\nformat = \"xml\"", "log.format"),
        ("[log]\nfilter = \"mixdown=loud\"", "log.filter"),
        ("[drain]\nretry_after_ms = 0", "drain.retry_after_ms"),
    ] {
        let found = faults(text, Mode::Dev);
        assert_eq!(found.first().map(|fault| fault.key.as_str()), Some(key), "{text}: {found:?}");
        let line = found[0].to_string();
        assert!(!line.contains('\n') && found[0].remedy.len() > 5, "{line}");
        assert_eq!(found.len(), 1, "one fault, one line: {found:?}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_foreign_names_are_left_alone() {
    let environment: Vec<(String, String)> = [
        ("MIXDOWN_HTTP_BIND", "127.0.0.1:9"),
        ("MIXDOWN_NET_ICE_LITE", "true"),
        ("MIXDOWN_NET_ADVERTISED_ADDRESSES", "203.0.113.7, 2001:db8::7"),
        ("MIXDOWN_ROOMS_CANVAS_FPS", "25"),
        ("MIXDOWN_VIDEO_CODECS", "vp8"),
        ("MIXDOWN_AUTH_KEYS", "main:wIq7cC1nQ0gYx5uB2kR8sT4vZ9mE6hJ3"),
        ("MIXDOWN_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("HOME", "/nowhere"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let config = parse("[http]\nbind = \"127.0.0.1:8\"\n[rooms.canvas]\nwidth = 640", &environment).expect("good");
    assert_eq!(config.http.bind.port(), 9);
    assert_eq!((config.net.ice_lite, config.net.advertised_addresses.len()), (IceLite::Always, 2));
    assert_eq!((config.rooms.canvas.fps, config.rooms.canvas.width), (25, 640));
    assert_eq!((config.video.codecs.len(), config.auth.keys[0].id.as_str()), (1, "main"));
    for (name, value) in [("MIXDOWN_NET_PORT", "many"), ("MIXDOWN_NET_TCP", "maybe"), ("MIXDOWN_AUTH_KEYS", "nosecret")] {
        let fault = parse("", &[(name.to_owned(), value.to_owned())]).expect_err("refused");
        assert_eq!(fault.key, name);
    }
}

#[cfg(unix)]
#[test]
fn a_secret_file_is_read_unless_everybody_can() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("mixdown-secret-{}", std::process::id()));
    std::fs::write(&path, format!("{SECRET}\n")).expect("written");
    let text = format!("[[auth.keys]]\nid = \"main\"\nsecret_file = \"{}\"", path.display());
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
    mode(0o600);
    assert_eq!(parse(&text, &[]).expect("good").auth.keys[0].secret.reveal(), SECRET);
    mode(0o644);
    let fault = parse(&text, &[]).expect_err("refused");
    assert!(fault.key == "auth.keys[0].secret_file" && fault.remedy.starts_with("chmod 600"), "{fault}");
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn secrets_are_not_printed() {
    let config = parse(&format!("[[auth.keys]]\nid = \"main\"\nsecret = \"{SECRET}\""), &[]).expect("good");
    assert!(!format!("{config:?}").contains(SECRET));
    assert!(!toml::to_string(&config).expect("TOML").contains(SECRET));
}
