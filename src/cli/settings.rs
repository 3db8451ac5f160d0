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
    /// For trying out: loopback alone, rooms open to anyone, no API key.
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
        }
        Ok(config)
    }
}
