//! Which events an endpoint receives.

/// Everything that rooms tell; the same names as in `/v1/events`.
pub const KINDS: &[&str] = &[
    "server.overloaded",
    "server.recovered",
    "room.created",
    "room.updated",
    "room.ended",
    "participant.waiting",
    "participant.admitted",
    "participant.joined",
    "participant.connected",
    "participant.updated",
    "participant.left",
    "speaker.changed",
    "chat.message",
    "banner.shown",
    "view.created",
    "view.updated",
    "view.deleted",
    "track.quarantined",
    "sidebar.updated",
    "sidebar.deleted",
    "recording.started",
    "recording.updated",
    "recording.ended",
    "recording.failed",
    "recording.interrupted",
    "recording.uploaded",
    "recording.upload_failed",
    "ingress.started",
    "ingress.updated",
    "ingress.ended",
    "ingress.failed",
    "egress.started",
    "egress.updated",
    "egress.ended",
];

/// Left out unless they are named: too many, and of no use a second later.
const LOUD: &[&str] = &["speaker.changed"];

/// A set of events: names, `family.*`, or `*` for all. Without any: all that are not loud (`speaker.changed`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<String>);

impl Filter {
    /// The first pattern that fits no event is the error.
    pub fn parse(patterns: &[String]) -> Result<Self, String> {
        match patterns.iter().find(|pattern| !KINDS.iter().any(|kind| fits(pattern, kind))) {
            Some(pattern) => Err(pattern.clone()),
            None => Ok(Self(patterns.to_vec())),
        }
    }

    pub fn wants(&self, kind: &str) -> bool {
        if self.0.is_empty() {
            return !LOUD.contains(&kind);
        }
        self.0.iter().any(|pattern| fits(pattern, kind))
    }

    /// The patterns as they were given.
    pub fn patterns(&self) -> &[String] {
        &self.0
    }
}

fn fits(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(family) => family.ends_with('.') && kind.starts_with(family),
        None => pattern == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> Result<Filter, String> {
        Filter::parse(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn names_families_and_a_star_choose_events_and_nothing_chooses_all_but_the_loud() {
        let chosen = |patterns: &[&str]| {
            let filter = filter(patterns).expect("good");
            KINDS.iter().filter(|kind| filter.wants(kind)).count()
        };
        assert_eq!(
            (chosen(&["*"]), chosen(&["participant.left", "room.*"])),
            (KINDS.len(), 1 + KINDS.iter().filter(|k| k.starts_with("room.")).count())
        );
        assert_eq!(chosen(&[]), KINDS.len() - 1);
        assert!(!filter(&[]).expect("good").wants("speaker.changed"));
        assert!(filter(&["speaker.changed"]).expect("good").wants("speaker.changed"));
    }

    #[test]
    fn a_pattern_that_no_event_fits_is_refused() {
        for pattern in ["", "participant", "participant*", "participants.*", "part*", "Room.*", "**"] {
            assert_eq!(filter(&["room.*", pattern]).expect_err("refused"), pattern);
        }
    }

    #[test]
    fn everything_that_the_program_tells_is_known_here() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conference");
        let mut told = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(folder).expect("folder").flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            for call in ["publish(", "publish_member("] {
                for (at, _) in text.match_indices(call) {
                    let argument = text[at + call.len()..].trim_start();
                    let name = argument.strip_prefix('"').and_then(|rest| rest.split('"').next());
                    told.extend(name.map(str::to_owned));
                }
            }
        }
        assert!(told.len() > 5, "the search has found {told:?}");
        let unknown: Vec<_> = told.iter().filter(|kind| !KINDS.contains(&kind.as_str())).collect();
        assert!(unknown.is_empty(), "add {unknown:?} to KINDS");
    }
}
