//! Offers that must be refused or narrowed, and ones that must not.

use crate::world::{World, config, epoch};
use mixdown::client::{self, Config};
use mixdown::net::SessionError;
use mixdown::peer::types::Kind;
use mixdown::peer::{OfferError, Peer};
use mixdown::peer::{fragment, offer, stun};
use proptest::prelude::*;
use serde::Deserialize;

fn offer(config: Config) -> String {
    client::Peer::new(config, epoch()).offer().unwrap()
}

#[test]
fn a_publisher_must_send_and_a_viewer_must_receive() {
    let accept = |kind, config: Config| Peer::accept(&self::config(), kind, &offer(config), epoch()).map(|_| ());
    assert!(accept(Kind::Publisher, Config::publisher()).is_ok());
    assert!(accept(Kind::Viewer, Config::viewer()).is_ok());
    for (kind, config) in [(Kind::Publisher, Config::viewer()), (Kind::Viewer, Config::publisher())] {
        let Err(OfferError::Unprocessable(detail)) = accept(kind, config) else { panic!("{kind:?} was accepted") };
        assert!(detail.starts_with("direction"), "{detail}");
    }
}

#[test]
fn a_publisher_is_answered_recvonly_and_a_viewer_sendonly_even_where_they_offer_sendrecv() {
    let text = offer(Config::default());
    for (kind, direction) in [(Kind::Publisher, "a=recvonly"), (Kind::Viewer, "a=sendonly")] {
        let (_, answer) = Peer::accept(&config(), kind, &text, epoch()).unwrap();
        assert_eq!(answer.sdp.matches(direction).count(), 2, "{}", answer.sdp);
        assert!(!answer.sdp.contains("a=sendrecv"));
    }
}

#[test]
fn the_answer_carries_our_candidates_and_nothing_that_is_not_decoded() {
    let (_, answer) = Peer::accept(&config(), Kind::Participant, &offer(Config::default()), epoch()).unwrap();
    assert!(answer.sdp.contains("192.0.3.1 3478 typ host"), "{}", answer.sdp);
    assert!(answer.sdp.contains("a=ice-lite"));
    assert!(answer.sdp.contains("useinbandfec=1"));
    for codec in ["VP9", "AV1", "H265", "G722", "red/"] {
        assert!(!answer.sdp.contains(codec), "{codec}");
    }
    assert!(answer.etag.starts_with('"') && answer.etag.ends_with('"') && answer.etag.len() > 10);
}

#[test]
fn a_new_offer_that_is_refused_leaves_the_session_as_it_was() {
    let mut world = World::new(50);
    let ann = world.joined(Kind::Participant, Config::default());
    let text = world.clients[ann].peer.local_description().to_owned();
    let mid = text.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap();
    let renamed = text.replace(&format!("a=mid:{mid}"), "a=mid:other").replace(&format!("BUNDLE {mid}"), "BUNDLE other");
    assert!(matches!(world.reoffer(ann, renamed), Err(SessionError::Unprocessable(_))));
    assert!(matches!(world.reoffer(ann, "garbage".into()), Err(SessionError::Malformed(_))));
    assert!(matches!(world.trickle(ann, "garbage".into()), Err(SessionError::Malformed(_))));
    world.run(5_000);
    assert!(world.is_up(ann));
}

#[test]
fn trickled_candidates_are_taken_and_a_thousand_of_them_are_survived() {
    let mut world = World::full_ice(51);
    let ann = world.join(Kind::Participant, Config::default());
    let mut fragment = String::from("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n");
    for n in 0..900 {
        fragment.push_str(&format!("a=candidate:{n} 1 udp 2122260223 198.51.101.{} {} typ host\r\n", n % 250, 1_000 + n));
    }
    assert_eq!(world.trickle(ann, fragment).unwrap().map(|_| ()), None);
    world.until(3_000, |world| world.is_up(ann));
    let others: std::collections::BTreeSet<_> = world.sent.iter().map(|(destination, _)| *destination).collect();
    assert!(others.len() <= 33, "{} addresses were sent checks", others.len());
}

#[test]
fn an_unknown_session_is_gone() {
    let mut world = World::new(52);
    let ann = world.joined(Kind::Participant, Config::default());
    let participant = world.clients[ann].participant;
    world.command(mixdown::net::Command::Close { participant, reason: mixdown::peer::types::CloseReason::Left });
    assert_eq!(world.trickle(ann, "a=end-of-candidates\r\n".into()), Err(SessionError::Gone));
    assert_eq!(world.stats(ann), None);
}

#[derive(Deserialize)]
struct Table {
    offer: String,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    #[serde(default)]
    kind: String,
    raw: Option<String>,
    #[serde(default)]
    replace: Vec<(String, String)>,
    #[serde(default)]
    append: String,
    repeat: Option<(String, usize)>,
    expect: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    answer: Vec<String>,
    #[serde(default)]
    answer_lacks: Vec<String>,
}

fn table() -> Table {
    toml::from_str(include_str!("../bad_inputs/sdp.toml")).unwrap()
}

impl Case {
    fn text(&self, offer: &str) -> String {
        let mut text = self.raw.clone().unwrap_or_else(|| offer.trim_start().to_owned());
        for (from, to) in &self.replace {
            assert!(text.contains(from.as_str()), "{}: nothing to replace", self.id);
            text = text.replace(from.as_str(), to);
        }
        text.push_str(&self.append);
        if let Some((part, times)) = &self.repeat {
            text.push_str(&part.repeat(*times));
        }
        text.replace('\n', "\r\n")
    }

    /// What is wrong with the server's answer to it, if something is.
    fn judge(&self, result: &Result<String, OfferError>) -> Result<(), String> {
        let (expect, detail) = match result {
            Ok(answer) => {
                let missing = self.answer.iter().find(|part| !answer.contains(part.as_str()));
                let extra = self.answer_lacks.iter().find(|part| answer.contains(part.as_str()));
                if missing.is_some() || extra.is_some() {
                    return Err(format!("missing {missing:?}, extra {extra:?} in {answer}"));
                }
                ("accepted", "")
            }
            Err(OfferError::Malformed(detail)) => ("malformed", detail.as_str()),
            Err(OfferError::Unprocessable(detail)) => ("unprocessable", detail.as_str()),
        };
        let right = expect == self.expect && detail.contains(&self.detail);
        right.then_some(()).ok_or_else(|| format!("{expect}: {detail}"))
    }
}

#[test]
fn every_offer_of_the_catalogue_gets_its_refusal_and_the_server_stays_healthy() {
    let Table { offer, case } = table();
    let wrong: Vec<_> = case
        .iter()
        .filter_map(|case| {
            let kind = match case.kind.as_str() {
                "publisher" => Kind::Publisher,
                "viewer" => Kind::Viewer,
                _ => Kind::Participant,
            };
            let result = Peer::accept(&config(), kind, &case.text(&offer), epoch()).map(|(_, answer)| answer.sdp);
            case.judge(&result).err().map(|what| format!("{}: {what}", case.id))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_line_that_ends_with_lf_alone_is_refused_with_its_number() {
    let text = table().offer.trim_start().replace('\n', "\r\n").replacen("s=-\r\n", "s=-\n", 1);
    let Err(OfferError::Malformed(detail)) = Peer::accept(&config(), Kind::Participant, &text, epoch()).map(|_| ()) else { panic!() };
    assert!(detail.contains("line 3"), "{detail}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_offer_with_any_lines_changed_never_panics_and_never_closes_more_than_itself(
        edits in proptest::collection::vec((0usize..100, 0u8..5, "[ -~]{0,40}"), 1..6)
    ) {
        let offer = table().offer;
        let mut lines: Vec<String> = offer.trim_start().lines().map(str::to_owned).collect();
        for (at, how, text) in edits {
            let at = at % lines.len();
            match how {
                0 => drop(lines.remove(at)),
                1 => lines[at] = text,
                2 => lines.insert(at, format!("a={text}")),
                3 => lines.push(lines[at].clone()),
                _ => {
                    let line = &mut lines[at];
                    let cut = line.len() / 2;
                    line.replace_range(cut.., &text);
                }
            }
        }
        let _ = Peer::accept(&config(), Kind::Participant, &(lines.join("\r\n") + "\r\n"), epoch());
    }

    #[test]
    fn what_the_gate_lets_pass_reads_the_same_when_it_is_read_again(rids in 0usize..4, slides: bool, lite: bool) {
        let mut text = table().offer.trim_start().to_owned();
        if rids > 0 {
            let names: Vec<_> = (0..rids).map(|n| format!("r{n}")).collect();
            let lines: String = names.iter().map(|name| format!("a=rid:{name} send\n")).collect();
            text = text.replace("a=ssrc-group:FID 2001 2002\na=ssrc:2001 cname:c\na=ssrc:2002 cname:c\n", &format!("{lines}a=simulcast:send {}\n", names.join(";")));
        }
        if slides {
            text = text.replace("a=mid:1", "a=content:slides\na=mid:1");
        }
        if lite {
            text = text.replace("a=extmap-allow-mixed", "a=ice-lite");
        }
        let first = offer::parse(&text.replace('\n', "\r\n")).unwrap();
        prop_assert_eq!(first.sections[1].slides, slides);
        let again = offer::parse(&first.render()).unwrap();
        prop_assert_eq!(first.render(), again.render());
    }

    #[test]
    fn no_fragment_panics(text in "(a=(candidate:[0-9a-z. ]{0,60}|ice-ufrag:[ -~]{0,30}|ice-pwd:[ -~]{0,30}|end-of-candidates|mid:[0-9])|m=audio 9 RTP/AVP 0|[ -~]{0,20})(\r\n|\n|)") {
        let _ = fragment::parse(&text);
    }

    #[test]
    fn no_datagram_panics_the_demultiplexer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = stun::kind(&bytes);
        if let Some(message) = stun::parse(&bytes) {
            prop_assert!(!message.verify("a password that nobody used"));
        }
    }
}
