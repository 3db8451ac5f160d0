//! Texts around an offer: the slides mark of a screen (RFC 4796) and trickle fragments (RFC 8840,
//! RFC 9725 §4.3). Line surgery on text that this side wrote or that the server answered with.

use std::net::{IpAddr, SocketAddr};

/// Marks the m-lines with these mids as slides: `a=content:slides`.
pub fn mark_slides(sdp: &str, mids: &[String]) -> String {
    let mut marked = String::with_capacity(sdp.len() + 24 * mids.len());
    for line in sdp.lines() {
        push(&mut marked, line);
        if line.strip_prefix("a=mid:").is_some_and(|mid| mids.iter().any(|m| m == mid)) {
            push(&mut marked, "a=content:slides");
        }
    }
    marked
}

/// The fragment for a PATCH: credentials, first mid and candidates of a whole description.
pub fn fragment(sdp: &str) -> String {
    let first = |prefix: &str| sdp.lines().find(|line| line.starts_with(prefix));
    let mut text = String::new();
    for line in ["a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:"].into_iter().filter_map(first) {
        push(&mut text, line);
    }
    sdp.lines().filter(|line| line.starts_with("a=candidate:")).for_each(|line| push(&mut text, line));
    push(&mut text, "a=end-of-candidates");
    text
}

/// The fragment that trickles one host candidate under the credentials of `sdp`.
pub fn candidate_fragment(sdp: &str, address: SocketAddr) -> String {
    let mut text: String = fragment(sdp).lines().filter(|line| !line.starts_with("a=candidate:")).fold(String::new(), |mut text, line| {
        if line == "a=end-of-candidates" {
            push(&mut text, &format!("a=candidate:1 1 udp 2130706431 {} {} typ host", address.ip(), address.port()));
        }
        push(&mut text, line);
        text
    });
    text.shrink_to_fit();
    text
}

/// `answer` with the credentials and candidates of `fragment` in place of its own: what the answer to
/// an ICE restart would have been, had it been asked for with a whole offer. `None`: no credentials in it.
pub fn restarted_answer(answer: &str, fragment: &str) -> Option<String> {
    let find = |prefix: &str| fragment.lines().find(|line| line.starts_with(prefix));
    let (ufrag, pwd) = (find("a=ice-ufrag:")?, find("a=ice-pwd:")?);
    let mut text = String::with_capacity(answer.len());
    let mut first_section = true;
    for line in answer.lines() {
        match line {
            _ if line.starts_with("a=candidate:") || line == "a=end-of-candidates" => {}
            _ if line.starts_with("a=ice-ufrag:") => push(&mut text, ufrag),
            _ if line.starts_with("a=ice-pwd:") => push(&mut text, pwd),
            _ if line.starts_with("a=mid:") && first_section => {
                push(&mut text, line);
                fragment.lines().filter(|line| line.starts_with("a=candidate:")).for_each(|line| push(&mut text, line));
                first_section = false;
            }
            _ => push(&mut text, line),
        }
    }
    Some(text)
}

/// `answer` without the candidates of addresses that may not be reached, and without those that are none.
pub fn with_candidates(answer: &str, may_reach: &dyn Fn(IpAddr) -> bool) -> String {
    let mut text = String::with_capacity(answer.len());
    for line in answer.lines() {
        let candidate = line.strip_prefix("a=candidate:").map(|candidate| candidate.split(' ').nth(4).and_then(|at| at.parse().ok()));
        if candidate.is_none_or(|address| address.is_some_and(may_reach)) {
            push(&mut text, line);
        }
    }
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:old\r\na=ice-pwd:oldpassword\r\na=mid:a\r\na=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:old\r\na=ice-pwd:oldpassword\r\na=mid:v\r\n";

    #[test]
    fn candidates_that_may_not_be_reached_are_left_out() {
        let text = "a=mid:a\r\na=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\na=candidate:2 1 udp 1 1.1.1.1 1 typ host\r\na=candidate:3 1 udp 1 x.local 1 typ host\r\n";
        let left = with_candidates(text, &|address| address == IpAddr::from([1, 1, 1, 1]));
        assert_eq!(left, "a=mid:a\r\na=candidate:2 1 udp 1 1.1.1.1 1 typ host\r\n");
    }

    #[test]
    fn only_the_screen_is_marked_as_slides() {
        let marked = mark_slides(ANSWER, &["v".into()]);
        assert!(marked.contains("a=mid:v\r\na=content:slides\r\n"));
        assert_eq!(marked.matches("a=content").count(), 1);
    }

    #[test]
    fn a_restart_fragment_replaces_credentials_and_candidates_in_every_section() {
        let fragment = "a=ice-ufrag:new\r\na=ice-pwd:newpassword\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\na=candidate:2 1 udp 1 10.0.0.2 2 typ host\r\na=end-of-candidates\r\n";
        let answer = restarted_answer(ANSWER, fragment).unwrap();
        assert_eq!(answer.matches("a=ice-ufrag:new").count(), 2);
        assert!(!answer.contains("old"));
        assert!(answer.contains("a=mid:a\r\na=candidate:2 1 udp 1 10.0.0.2 2 typ host\r\n"));
        assert!(!answer.contains("10.0.0.1"));
        assert_eq!(restarted_answer(ANSWER, "a=mid:a"), None);
    }

    #[test]
    fn a_candidate_fragment_names_credentials_section_and_address() {
        let text = candidate_fragment(ANSWER, "192.0.2.1:5000".parse().unwrap());
        assert!(text.starts_with("a=ice-ufrag:old\r\na=ice-pwd:oldpassword\r\nm=audio"));
        assert!(text.contains("a=mid:a\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n"));
        assert!(!text.contains("10.0.0.1"));
    }
}
