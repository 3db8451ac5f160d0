//! The views of a room: made, changed and deleted by name. `main` always exists.
//!
//! A view says what is composed (canvas, layout, who may be shown) and who else may be shown it instead
//! (`alternatives`). What of it really runs is the plan's business.

use super::model::{SelfView, View, ViewPatch};
use super::sound::ViewAudio;
use super::{Error, Notice, Room, Settings, model};
use mixdown_codecs::Size;
use mixdown_layouts::Layout;
use model::{Canvas, Selector};

/// The view that always exists.
pub const MAIN_VIEW: &str = "main";
/// The longest name of a view, in bytes.
const MAX_NAME: usize = 64;
/// Entries of one filter.
const MAX_SELECTORS: usize = 256;
/// Views that one view may be replaced by.
const MAX_ALTERNATIVES: usize = 8;

/// What a caller believes of a resource that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Anything,
    /// It does not exist, or is already as wanted.
    Absent,
    Revision(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewState {
    pub canvas: Canvas,
    pub layout: Layout,
    pub audio: ViewAudio,
    /// Empty: everybody.
    pub include: Vec<Selector>,
    pub exclude: Vec<Selector>,
    pub own: SelfView,
    pub alternatives: Vec<String>,
    pub revision: u64,
    /// Somebody besides subscribers wants it composed (a snapshot).
    pub observed: bool,
    /// A text that lies over the picture for a while; no setting.
    pub banner: Option<String>,
}

impl ViewState {
    /// As a view begins.
    pub fn new(settings: &Settings, revision: u64) -> Self {
        Self {
            canvas: settings.canvas.clone(),
            layout: settings.layout.clone(),
            audio: ViewAudio::default(),
            include: Vec::new(),
            exclude: Vec::new(),
            own: SelfView::Shared,
            alternatives: Vec::new(),
            revision,
            observed: false,
            banner: None,
        }
    }

    fn check(&self, revision: u64) -> Result<(), Error> {
        if self.revision == revision { Ok(()) } else { Err(Error::Stale(self.revision)) }
    }

    fn apply(&mut self, patch: ViewPatch) {
        let replace = |to: &mut Vec<Selector>, from: Option<Vec<Selector>>| *to = from.unwrap_or_else(|| std::mem::take(to));
        self.canvas = patch.canvas.unwrap_or_else(|| self.canvas.clone());
        self.layout = patch.layout.unwrap_or_else(|| self.layout.clone());
        self.audio = patch.audio.unwrap_or_else(|| std::mem::take(&mut self.audio));
        replace(&mut self.include, patch.include);
        replace(&mut self.exclude, patch.exclude);
        self.own = patch.own.unwrap_or(self.own);
        self.alternatives = patch.alternatives.unwrap_or_else(|| std::mem::take(&mut self.alternatives));
    }
}

impl Room {
    pub fn view(&self, name: &str) -> Result<View, Error> {
        let state = self.views.get(name).ok_or_else(|| Error::NoView(name.to_owned()))?;
        Ok(View {
            name: name.to_owned(),
            canvas: state.canvas.clone(),
            layout: state.layout.clone(),
            audio: state.audio.clone(),
            include: state.include.clone(),
            exclude: state.exclude.clone(),
            own: state.own,
            alternatives: state.alternatives.clone(),
            etag: state.revision,
        })
    }

    /// All views, by name.
    pub fn views(&self) -> Vec<View> {
        self.views.keys().filter_map(|name| self.view(name).ok()).collect()
    }

    /// Makes the view, or gives an existing one exactly these settings; what is absent takes its default. `true`: made.
    pub fn put_view(&mut self, name: &str, settings: ViewPatch, expect: Expect) -> Result<bool, Error> {
        let before = self.views.get(name);
        match (before, expect) {
            (None, Expect::Revision(_)) => return Err(Error::NoView(name.to_owned())),
            (None, _) => {
                check_name(name)?;
                if self.views.len() >= self.settings.max_views as usize {
                    return Err(Error::TooManyViews(self.settings.max_views));
                }
            }
            (Some(before), Expect::Revision(revision)) => before.check(revision)?,
            (Some(_), _) => {}
        }
        self.check_view(name, &settings)?;
        let mut state = ViewState::new(&self.settings, 0);
        if let Some(before) = before {
            (state.observed, state.banner) = (before.observed, before.banner.clone());
        }
        state.apply(settings);
        if let (Some(before), Expect::Absent) = (before, expect) {
            state.revision = before.revision;
            return if state == *before { Ok(false) } else { Err(Error::ViewExists(name.to_owned())) };
        }
        let made = before.is_none();
        state.revision = self.next_revision();
        self.views.insert(name.to_owned(), state);
        self.notices.push(if made { Notice::ViewCreated(name.to_owned()) } else { Notice::ViewUpdated(name.to_owned()) });
        self.settle();
        Ok(made)
    }

    pub fn update_view(&mut self, name: &str, patch: ViewPatch) -> Result<(), Error> {
        self.known_view(name)?;
        self.check_view(name, &patch)?;
        let revision = self.next_revision();
        if let Some(view) = self.views.get_mut(name) {
            view.apply(patch);
            view.revision = revision;
        }
        self.notices.push(Notice::ViewUpdated(name.to_owned()));
        self.settle();
        Ok(())
    }

    /// Deletes the view; who watched it watches `main` from now on.
    pub fn delete_view(&mut self, name: &str, expect: Expect) -> Result<(), Error> {
        let view = self.views.get(name).ok_or_else(|| Error::NoView(name.to_owned()))?;
        if let Expect::Revision(revision) = expect {
            view.check(revision)?;
        }
        if name == MAIN_VIEW {
            return Err(Error::MainView);
        }
        self.views.remove(name);
        let revision = self.next_revision();
        for view in self.views.values_mut() {
            let before = view.alternatives.len();
            view.alternatives.retain(|alternative| alternative != name);
            if view.alternatives.len() != before {
                view.revision = revision;
            }
        }
        for member in self.members.iter_mut().filter(|member| member.view == name) {
            MAIN_VIEW.clone_into(&mut member.view);
            self.notices.push(Notice::Updated(member.id));
        }
        self.unview_recordings(name);
        self.unview_egresses(name);
        self.notices.push(Notice::ViewDeleted(name.to_owned()));
        self.settle();
        Ok(())
    }

    /// Somebody besides subscribers wants to see the view (or no longer).
    pub fn observe(&mut self, view: &str, observed: bool) -> Result<(), Error> {
        self.known_view(view)?;
        if let Some(state) = self.views.get_mut(view)
            && state.observed != observed
        {
            state.observed = observed;
            self.settle();
        }
        Ok(())
    }

    /// Lays a text over the view's picture, or takes it away.
    pub fn banner(&mut self, view: &str, text: Option<String>) -> Result<(), Error> {
        self.known_view(view)?;
        if let Some(state) = self.views.get_mut(view) {
            state.banner = text;
            self.settle();
        }
        Ok(())
    }

    /// The view that `member` is shown: the chosen one, or the alternative that fits their screen better.
    pub fn shown_view<'a>(&'a self, member: &'a super::Member) -> &'a str {
        let (Some(chosen), Some(screen)) = (self.views.get(&member.view), member.screen()) else { return &member.view };
        let known = |name: &'a String| Some((name.as_str(), size(self.views.get(name)?)));
        let candidates: Vec<(&str, Size)> =
            std::iter::once((member.view.as_str(), size(chosen))).chain(chosen.alternatives.iter().filter_map(known)).collect();
        best(&candidates, screen).unwrap_or(&member.view)
    }

    pub(super) fn known_view(&self, name: &str) -> Result<(), Error> {
        if self.views.contains_key(name) { Ok(()) } else { Err(Error::NoView(name.to_owned())) }
    }

    /// Refuses what the view `name` cannot have.
    fn check_view(&self, name: &str, patch: &ViewPatch) -> Result<(), Error> {
        if let Some(canvas) = &patch.canvas {
            canvas.check("/canvas")?;
        }
        let heard = patch.audio.as_ref();
        let lists = [
            ("/include", patch.include.as_ref().map(Vec::len)),
            ("/exclude", patch.exclude.as_ref().map(Vec::len)),
            ("/audio/include", heard.map(|audio| audio.include.len())),
            ("/audio/exclude", heard.map(|audio| audio.exclude.len())),
            ("/audio/gains", heard.map(|audio| audio.gains.len())),
        ];
        for (pointer, entries) in lists {
            if entries.is_some_and(|entries| entries > MAX_SELECTORS) {
                return Err(Error::Invalid { pointer, detail: format!("at most {MAX_SELECTORS} entries") });
            }
        }
        let Some(alternatives) = &patch.alternatives else { return Ok(()) };
        let refuse = |detail: String| Err(Error::Invalid { pointer: "/alternatives", detail });
        if alternatives.len() > MAX_ALTERNATIVES {
            return refuse(format!("at most {MAX_ALTERNATIVES} views"));
        }
        match alternatives.iter().find(|other| *other == name || !self.views.contains_key(*other)) {
            Some(other) if other == name => refuse(format!("{other:?} is the view itself")),
            Some(other) => refuse(format!("there is no view named {other:?}: make it first")),
            None => Ok(()),
        }
    }
}

fn size(view: &ViewState) -> Size {
    Size::new(view.canvas.width, view.canvas.height)
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.len() <= MAX_NAME && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) {
        return Ok(());
    }
    let detail = format!("a name is 1 to {MAX_NAME} of A-Z a-z 0-9 . _ - and begins with a letter or digit");
    Err(Error::Invalid { pointer: "/name", detail })
}

/// The canvas that suits a screen (pixels; `u32::MAX`: of unknown extent): of those that cover about the most of it
/// when scaled to fit, the smallest that need not be enlarged; where all must be, the largest. The first of equals.
fn best<'a>(candidates: &[(&'a str, Size)], screen: Size) -> Option<&'a str> {
    /// Differences below this share do not count.
    const SLACK: f64 = 0.1;
    let scale = |canvas: Size| {
        let side = |screen: u32, canvas: u32| if screen == u32::MAX { f64::INFINITY } else { f64::from(screen) / f64::from(canvas.max(1)) };
        side(screen.width, canvas.width).min(side(screen.height, canvas.height))
    };
    let pixels = |canvas: Size| f64::from(canvas.width) * f64::from(canvas.height);
    let bounded = screen.width != u32::MAX && screen.height != u32::MAX;
    let covered = |canvas: Size| if bounded { pixels(canvas) * scale(canvas).powi(2) / pixels(screen).max(1.0) } else { 1.0 };
    let most = candidates.iter().map(|(_, canvas)| covered(*canvas)).fold(0.0, f64::max);
    let fitting = candidates.iter().filter(|(_, canvas)| covered(*canvas) >= most - SLACK);
    let ranked = fitting.map(|(name, canvas)| {
        let enlarged = scale(*canvas) > 1.0 + SLACK;
        (enlarged, if enlarged { -pixels(*canvas) } else { pixels(*canvas) }, *name)
    });
    ranked.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_gets_the_upright_canvas_and_a_small_window_the_small_one() {
        let all = [("main", Size::new(1280, 720)), ("phone", Size::new(720, 1280)), ("small", Size::new(640, 360))];
        for (screen, expected) in [
            (Size::new(1920, 1080), "main"),
            (Size::new(1280, 700), "main"),
            (Size::new(1080, 2200), "phone"),
            (Size::new(390, 760), "phone"),
            (Size::new(640, 360), "small"),
            (Size::new(660, 400), "small"),
            (Size::new(320, u32::MAX), "small"),
            (Size::new(u32::MAX, u32::MAX), "main"),
        ] {
            assert_eq!(best(&all, screen), Some(expected), "{screen:?}");
        }
        assert_eq!(best(&all[..1], Size::new(390, 760)), Some("main"), "there may be no choice");
    }
}
