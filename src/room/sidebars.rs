//! Sidebars: some of the participants hear each other alone, and are heard by nobody else or by all. Everybody is in one at most.

use super::sound::{Sidebar, SidebarSettings};
use super::views::check_name;
use super::{Error, Expect, Notice, Room};
use crate::ids::ParticipantId;
use std::collections::BTreeSet;

/// Sidebars of one room.
const MAX_SIDEBARS: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct SidebarState {
    pub participants: BTreeSet<ParticipantId>,
    pub heard_by_all: bool,
    pub revision: u64,
}

impl Room {
    /// All sidebars, by name.
    pub fn sidebars(&self) -> Vec<Sidebar> {
        self.sidebars.keys().filter_map(|name| self.sidebar(name).ok()).collect()
    }

    pub fn sidebar(&self, name: &str) -> Result<Sidebar, Error> {
        let state = self.sidebars.get(name).ok_or_else(|| Error::NoSidebar(name.to_owned()))?;
        Ok(Sidebar {
            name: name.to_owned(),
            participants: state.participants.iter().copied().collect(),
            heard_by_all: state.heard_by_all,
            etag: state.revision,
        })
    }

    /// Makes the sidebar, or gives an existing one exactly these settings. `true`: made.
    pub fn put_sidebar(&mut self, name: &str, settings: SidebarSettings, expect: Expect) -> Result<bool, Error> {
        let before = self.sidebars.get(name);
        check(expect, before)?;
        if before.is_none() {
            check_name(name)?;
            if self.sidebars.len() >= MAX_SIDEBARS {
                return Err(Error::Invalid { pointer: "/name", detail: format!("a room has at most {MAX_SIDEBARS} sidebars") });
            }
        }
        self.check_participants(name, &settings.participants)?;
        let (made, revision) = (before.is_none(), self.next_revision());
        let participants = settings.participants.into_iter().collect();
        self.sidebars.insert(name.to_owned(), SidebarState { participants, heard_by_all: settings.heard_by_all, revision });
        self.notices.push(Notice::SidebarUpdated(name.to_owned()));
        self.settle();
        Ok(made)
    }

    /// Ends the sidebar: who was in it is in the room again.
    pub fn delete_sidebar(&mut self, name: &str, expect: Expect) -> Result<(), Error> {
        let before = self.sidebars.get(name).ok_or_else(|| Error::NoSidebar(name.to_owned()))?;
        check(expect, Some(before))?;
        self.sidebars.remove(name);
        self.next_revision();
        self.notices.push(Notice::SidebarDeleted(name.to_owned()));
        self.settle();
        Ok(())
    }

    /// The sidebar that somebody is in.
    pub(super) fn sidebar_of(&self, id: ParticipantId) -> Option<(&str, &SidebarState)> {
        self.sidebars.iter().find(|(_, sidebar)| sidebar.participants.contains(&id)).map(|(name, sidebar)| (name.as_str(), sidebar))
    }

    /// Who has left is in no sidebar.
    pub(super) fn leave_sidebar(&mut self, id: ParticipantId) {
        let Some(name) = self.sidebar_of(id).map(|(name, _)| name.to_owned()) else { return };
        let revision = self.next_revision();
        if let Some(sidebar) = self.sidebars.get_mut(&name) {
            sidebar.participants.remove(&id);
            sidebar.revision = revision;
        }
        self.notices.push(Notice::SidebarUpdated(name));
    }

    fn check_participants(&self, name: &str, participants: &[ParticipantId]) -> Result<(), Error> {
        let fault = |id: &ParticipantId| match self.sidebar_of(*id) {
            _ if self.member(*id).is_none() => Some(format!("{id} is not in the room")),
            Some((other, _)) if other != name => Some(format!("{id} is in the sidebar {other:?}")),
            _ => None,
        };
        let faults: Vec<String> = participants.iter().filter_map(fault).collect();
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid { pointer: "/participants", detail: faults.join("; ") }) }
    }
}

fn check(expect: Expect, now: Option<&SidebarState>) -> Result<(), Error> {
    match (expect, now) {
        (Expect::Revision(wanted), Some(now)) if wanted != now.revision => Err(Error::Stale(now.revision)),
        _ => Ok(()),
    }
}
