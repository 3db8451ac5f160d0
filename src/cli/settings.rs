//! Where settings come from.

use clap::Args;
use mixdown::config::{self, Config, Fault, Mode};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

#[derive(Args)]
pub struct Settings {
    /// The settings; defaults without one.
    #[arg(short, long, env = "MIXDOWN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For trying out: loopback alone, rooms open to anyone, no API key, nobody turned away for load.
    #[arg(long)]
    pub dev: bool,
}

impl Settings {
    pub fn mode(&self) -> Mode {
        if self.dev { Mode::Dev } else { Mode::Production }
    }

    pub fn load(&self) -> Result<Config, Fault> {
        let environment: Vec<(String, String)> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        let mut config = config::load(self.config.as_deref(), &environment)?;
        if self.dev {
            config.net.bind = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
            config.net.advertised_addresses.clear();
            // The browser that starts beside it takes the processor for a while, and would be told that the server is busy.
            config.overload.admission = false;
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_trying_out_nobody_is_turned_away_for_load_and_loopback_alone_is_served() {
        let of = |dev| Settings { config: None, dev }.load().unwrap();
        let (tried, served) = (of(true), of(false));
        assert!(!tried.overload.admission && tried.overload.governor);
        assert_eq!(tried.net.bind, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert!(served.overload.admission);
    }
}
