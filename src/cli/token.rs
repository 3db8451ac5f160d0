//! `mixdown token create`.

use super::output::{fail, out};
use super::settings::Settings;
use clap::Args;
use mixdown::api::auth::Keys;
use mixdown::api::tokens::TokenRequest;
use mixdown::runtime::clock;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    settings: Settings,
    /// The room it is for. Without one, and with --admin: all rooms.
    #[arg(long)]
    room: Option<mixdown::ids::RoomId>,
    /// Who it is for.
    #[arg(long, default_value = "guest")]
    identity: String,
    /// May join.
    #[arg(long)]
    join: bool,
    /// May send: audio, video, data.
    #[arg(long, value_delimiter = ',', value_parser = ["audio", "video", "data"])]
    publish: Vec<String>,
    /// May receive.
    #[arg(long)]
    subscribe: bool,
    /// May start and end recordings.
    #[arg(long)]
    record: bool,
    /// May do everything that the API has.
    #[arg(long)]
    admin: bool,
    /// May change the layout and pin.
    #[arg(long)]
    layout: bool,
    /// May watch this view besides main.
    #[arg(long)]
    view: Option<String>,
    /// How long it lives: 90s, 10m, 6h.
    #[arg(long, default_value = "10m", value_parser = duration)]
    ttl: Duration,
    /// Id of the API key that signs; the last one that is not retired without it.
    #[arg(long)]
    key: Option<String>,
    /// Print {"token": …} in place of the bare token.
    #[arg(long)]
    json: bool,
}

pub fn create(args: Create) -> ExitCode {
    let config = match args.settings.load() {
        Ok(config) => config,
        Err(fault) => return fail(2, fault),
    };
    let keys = Keys::new(&config.auth);
    let now = clock::wall();
    let Some(issuer) = args.key.or_else(|| keys.newest(now)) else {
        return fail(2, "auth.keys: there is no API key to sign with; name a file by --config or set MIXDOWN_AUTH_KEYS=id:secret");
    };
    if args.room.is_none() && !args.admin {
        return fail(2, "--room: is missing; only --admin may be for all rooms");
    }
    if args.ttl > keys.max_ttl() {
        return fail(2, format_args!("--ttl: is longer than auth.max_ttl_ms allows; at most {}s", keys.max_ttl().as_secs()));
    }
    let request = TokenRequest {
        identity: args.identity,
        ttl_ms: u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX),
        room: args.room.map(|room| room.to_string()),
        join: args.join,
        publish: args.publish,
        subscribe: args.subscribe,
        record: args.record,
        admin: args.admin,
        layout: args.layout,
        view: args.view,
    };
    match keys.sign(&request.claims(&issuer, now)) {
        Some(token) if args.json => out(&(serde_json::json!({"token": token}).to_string() + "\n")),
        Some(token) => out(&(token + "\n")),
        None => fail(2, format_args!("--key: there is no API key {issuer:?}; name one of auth.keys")),
    }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write it as 90s, 10m or 6h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "write it as 90s, 10m or 6h".to_owned())?;
    number.checked_mul(factor).map(Duration::from_secs).ok_or_else(|| "is too long".into())
}
