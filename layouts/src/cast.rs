//! Who could be shown: the input of every layout rule.

use mixdown_codecs::Size;

/// One person, as the caller numbers them. Stable for as long as the person stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PersonId(pub u64);

/// One stream of pictures (a camera or a screen), as the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u64);

/// A camera or screen that sends pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub id: SourceId,
    /// Upright display size of what the sender sends at most, if known yet. Only its ratio matters to the rules.
    pub size: Option<Size>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    /// What a layout may call this person by, besides `identity`. Opaque to the rules.
    pub key: String,
    pub identity: Option<String>,
    pub name: String,
    pub role: Option<String>,
    /// `None`: no camera, or the camera is muted; shown as initials.
    pub camera: Option<Source>,
    pub screen: Option<Source>,
    /// Microphone muted or absent: drawn as a sign.
    pub muted: bool,
    pub pinned: bool,
    /// Counts up with every sound turn: the larger, the more recently this person spoke. For `order: activity`.
    pub last_spoke: u64,
}

impl Person {
    /// Somebody of this number and nothing else: no name, no camera.
    pub fn plain(number: u64) -> Self {
        Self {
            id: PersonId(number),
            key: String::new(),
            identity: None,
            name: String::new(),
            role: None,
            camera: None,
            screen: None,
            muted: false,
            pinned: false,
            last_spoke: 0,
        }
    }

    /// Whether a layout that names `name` means this person.
    pub fn is_called(&self, name: &str) -> bool {
        self.key == name || self.identity.as_deref() == Some(name)
    }
}

/// Everybody a view may show, in order of joining.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast {
    pub people: Vec<Person>,
    pub active_speaker: Option<PersonId>,
    pub previous_speaker: Option<PersonId>,
}
