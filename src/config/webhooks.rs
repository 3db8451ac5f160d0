//! Where events are posted.

use super::Secret;
use super::check::Faults;
use crate::address;
use crate::webhooks::filter::Filter;
use crate::webhooks::outbox::Limits;
use crate::webhooks::{self, sign};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// For the whole exchange of one attempt.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// The folder in which events wait until they are taken.
    pub outbox: PathBuf,
    /// Most that waits for one endpoint; beyond it the oldest is dropped.
    pub max_bytes: usize,
    /// How long an event is offered before it is given up.
    pub max_age_ms: u64,
    /// Deliveries per endpoint that stay readable over the API.
    pub history: usize,
    pub endpoints: Vec<Endpoint>,
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    /// `whsec_…`; each request is signed with all of them.
    pub secrets: Vec<Secret>,
    /// Names, `family.*` or `*`; empty: all but `speaker.changed`.
    pub events: Vec<String>,
    /// Also addresses that are not public, other ports, and http://.
    pub allow_private_networks: bool,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { outbox: "mixdown-outbox".into(), max_bytes: 16 * 1024 * 1024, max_age_ms: 86_400_000, history: 256, endpoints: Vec::new() }
    }
}

impl Webhooks {
    /// What the driver is made from. Endpoints that [`Webhooks::check`] finds fault with are left out.
    pub fn settings(&self) -> webhooks::Settings {
        let max_age = Duration::from_millis(self.max_age_ms);
        webhooks::Settings {
            folder: self.outbox.clone(),
            limits: Limits { max_bytes: self.max_bytes, max_age, history: self.history },
            endpoints: self.endpoints.iter().filter_map(Endpoint::settings).collect(),
        }
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        faults.range("webhooks.max_bytes", self.max_bytes, 65_536..=1024 * 1024 * 1024);
        faults.range("webhooks.max_age_ms", self.max_age_ms, 60_000..=30 * 86_400_000);
        faults.range("webhooks.history", self.history, 1..=10_000);
        let mut ids = BTreeSet::new();
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let key = |field: &str| format!("webhooks.endpoints[{index}].{field}");
            endpoint.check(&key, faults);
            if !ids.insert(&endpoint.id) {
                faults.add(&key("id"), format!("{:?} stands there twice", endpoint.id), "give every endpoint its own id");
            }
        }
    }
}

impl Endpoint {
    fn settings(&self) -> Option<webhooks::Endpoint> {
        let secrets: Option<Vec<_>> = self.secrets.iter().map(|secret| sign::Secret::parse(secret.reveal()).ok()).collect();
        Some(webhooks::Endpoint {
            id: self.id.clone(),
            url: self.url.clone(),
            secrets: secrets?,
            events: Filter::parse(&self.events).ok()?,
            allow_private_networks: self.allow_private_networks,
            timeout: TIMEOUT,
        })
    }

    fn check(&self, key: &dyn Fn(&str) -> String, faults: &mut Faults) {
        let named = (1..=64).contains(&self.id.len()) && self.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !named {
            faults.add(&key("id"), format!("{:?} is not an id", self.id), "write 1 to 64 of A-Z a-z 0-9 - _ .");
        }
        if let Err(why) = address::check(&self.url, self.allow_private_networks) {
            // The URL may hold a secret.
            let remedy = "write https:// and a public host; allow_private_networks = true is for receivers of your own network";
            faults.add(&key("url"), why.to_string(), remedy);
        }
        if self.secrets.is_empty() {
            faults.add(&key("secrets"), "is empty", "write \"whsec_\" and what `openssl rand -base64 32` prints");
        }
        for (index, secret) in self.secrets.iter().enumerate() {
            if let Err(why) = sign::Secret::parse(secret.reveal()) {
                let key = key(&format!("secrets[{index}]"));
                faults.add(&key, why.to_string(), "write \"whsec_\" and what `openssl rand -base64 32` prints");
            }
        }
        if let Err(pattern) = Filter::parse(&self.events) {
            let known = webhooks::filter::KINDS.join(", ");
            faults.add(&key("events"), format!("{pattern:?} fits no event"), &format!("name some of {known}, or family.*"));
        }
    }
}
