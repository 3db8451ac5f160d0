//! File and environment into a [`Config`].

use super::{Config, Fault, Key, Secret};
use std::path::Path;
use toml::{Table, Value};

/// Reads `file` (defaults without one), applies `environment`, and resolves secrets that are kept elsewhere.
pub fn load(file: Option<&Path>, environment: &[(String, String)]) -> Result<Config, Fault> {
    let text = match file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Fault::new("--config", format!("cannot read {}: {error}", path.display()), "name a readable file"))?,
    };
    parse(&text, environment)
}

/// As [`load`], from text.
pub fn parse(text: &str, environment: &[(String, String)]) -> Result<Config, Fault> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| syntax(text, &error))?;
    for (name, value) in environment {
        override_key(&mut table, name, value)?;
    }
    let mut config: Config = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        let message = error.into_inner().to_string();
        let remedy = remedy(&key, &message);
        Fault::new(&key, message, &remedy)
    })?;
    for (index, key) in config.auth.keys.iter_mut().enumerate() {
        resolve_key(index, key, environment)?;
    }
    for (index, server) in config.net.ice_servers.iter_mut().enumerate() {
        resolve(&format!("net.ice_servers[{index}].secret"), &mut server.secret, environment)?;
        resolve(&format!("net.ice_servers[{index}].credential"), &mut server.credential, environment)?;
    }
    for (index, endpoint) in config.webhooks.endpoints.iter_mut().enumerate() {
        for (which, secret) in endpoint.secrets.iter_mut().enumerate() {
            resolve(&format!("webhooks.endpoints[{index}].secrets[{which}]"), secret, environment)?;
        }
    }
    resolve("recordings.upload.secret_access_key", &mut config.recordings.upload.secret_access_key, environment)?;
    Ok(config)
}

fn syntax(text: &str, error: &toml::de::Error) -> Fault {
    let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    Fault::new(&format!("line {line}"), error.message(), "correct the TOML there (https://toml.io)")
}

/// Puts `MIXDOWN_<SECTION>_<KEY>` into the table. Names that are no keys are left alone: container
/// platforms set such variables for services of that name.
fn override_key(table: &mut Table, name: &str, value: &str) -> Result<(), Fault> {
    let Some(rest) = name.strip_prefix("MIXDOWN_").map(str::to_lowercase) else { return Ok(()) };
    if rest == "auth_keys" {
        let keys = value.split(',').map(|pair| api_key(name, pair)).collect::<Result<Vec<_>, _>>()?;
        section(table, "auth").insert("keys".into(), Value::Array(keys));
        return Ok(());
    }
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    for (section_name, keys) in &defaults {
        let Some(keys) = keys.as_table() else { continue };
        for (key, default) in keys {
            if rest == format!("{section_name}_{key}") && !default.is_table() {
                section(table, section_name).insert(key.clone(), typed(name, value, default)?);
            }
            for (inner, default) in default.as_table().into_iter().flatten() {
                if rest == format!("{section_name}_{key}_{inner}") {
                    section(section(table, section_name), key).insert(inner.clone(), typed(name, value, default)?);
                }
            }
        }
    }
    Ok(())
}

fn section<'a>(table: &'a mut Table, name: &str) -> &'a mut Table {
    if !table.get(name).is_some_and(Value::is_table) {
        table.insert(name.to_owned(), Value::Table(Table::new()));
    }
    match table.get_mut(name) {
        Some(Value::Table(section)) => section,
        _ => unreachable!("inserted above"),
    }
}

/// `text` as the type that the default has.
fn typed(name: &str, text: &str, default: &Value) -> Result<Value, Fault> {
    let fault = |expected: &str| Fault::new(name, format!("{text:?} is not {expected}"), &format!("set it to {expected} or unset it"));
    Ok(match default {
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| fault("a whole number"))?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| fault("true or false"))?),
        Value::Array(_) => {
            Value::Array(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| Value::String(part.into())).collect())
        }
        // ice_lite is "auto", true or false.
        _ => text.parse().map(Value::Boolean).unwrap_or_else(|_| Value::String(text.into())),
    })
}

fn api_key(name: &str, pair: &str) -> Result<Value, Fault> {
    let (id, secret) =
        pair.split_once(':').ok_or_else(|| Fault::new(name, "is not of the form id:secret", "set it to id:secret,id:secret"))?;
    let entries = [("id", id.trim()), ("secret", secret.trim())];
    Ok(Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value.into()))).collect()))
}

fn resolve_key(index: usize, key: &mut Key, environment: &[(String, String)]) -> Result<(), Fault> {
    if !key.secret_file.is_empty() {
        let name = format!("auth.keys[{index}].secret_file");
        if !key.secret.is_empty() {
            return Err(Fault::new(&name, "stands beside secret", "keep one of the two"));
        }
        key.secret = read_secret(&name, Path::new(&key.secret_file))?;
        key.secret_file = String::new();
    }
    resolve(&format!("auth.keys[{index}].secret"), &mut key.secret, environment)
}

fn resolve(name: &str, secret: &mut Secret, environment: &[(String, String)]) -> Result<(), Fault> {
    let Some(variable) = secret.reveal().strip_prefix('$') else { return Ok(()) };
    let value = environment.iter().find(|(candidate, _)| candidate == variable).map(|(_, value)| value.clone());
    match value.filter(|value| !value.is_empty()) {
        Some(value) => *secret = Secret::new(value),
        None => {
            return Err(Fault::new(name, format!("the environment variable {variable} is not set"), "set it, or write the secret here"));
        }
    }
    Ok(())
}

fn read_secret(name: &str, path: &Path) -> Result<Secret, Fault> {
    let unreadable = |error: std::io::Error| Fault::new(name, format!("cannot read {}: {error}", path.display()), "name a readable file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o007 != 0 {
            let fault = format!("{} is open to every user of this machine", path.display());
            return Err(Fault::new(name, fault, &format!("chmod 600 {}", path.display())));
        }
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

fn remedy(key: &str, message: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    let unit =
        [("_ms", "milliseconds"), ("_bps", "bits per second"), ("_bytes", "bytes")].into_iter().find(|(suffix, _)| last.ends_with(suffix));
    match unit {
        _ if message.starts_with("unknown field") => "remove it, or correct its spelling".into(),
        _ if message.starts_with("unknown variant") || message.starts_with("unknown codec") => "choose one of these".into(),
        Some((_, unit)) => format!("write a whole number of {unit}, without quotes"),
        None => "write a value of the type that `mixdown config default` shows".into(),
    }
}
