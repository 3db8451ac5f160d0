//! API keys that change while the server runs: on SIGHUP, and within seconds of a change of the settings' file or of a
//! secret's. Nothing else is taken from the settings; they need a restart. What is bad is refused whole and told in the log, and
//! the keys before it go on.

use super::clock;
use crate::config::{Config, Fault, Mode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often the settings are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Reads the settings anew.
pub type Read = Arc<dyn Fn() -> Result<Config, Fault> + Send + Sync>;

/// One message for every SIGHUP.
pub fn hangups() -> std::io::Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(1);
    #[cfg(unix)]
    {
        let mut stream = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    }
    #[cfg(not(unix))]
    tokio::spawn(async move { sender.closed().await });
    Ok(receiver)
}

/// Keeps the keys up to date until `stop`.
pub async fn keep(
    keys: impl Fn(&[crate::config::Key]) -> bool,
    mode: Mode,
    read: Read,
    mut hangups: mpsc::Receiver<()>,
    stop: CancellationToken,
) {
    let mut last_fault = None;
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = hangups.recv() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        let read = Arc::clone(&read);
        let Ok(outcome) = tokio::task::spawn_blocking(move || look(&*read, mode)).await else { continue };
        match outcome {
            Ok(config) if keys(&config.auth.keys) => tracing::info!(keys = config.auth.keys.len(), "the API keys have changed"),
            Ok(_) if asked => tracing::info!("the API keys are as before; other settings need a restart"),
            Ok(_) => {}
            Err(fault) if asked || last_fault.as_ref() != Some(&fault) => {
                tracing::error!(%fault, "the API keys stay as they are");
                last_fault = Some(fault);
                continue;
            }
            Err(_) => continue,
        }
        last_fault = None;
    }
}

fn look(read: &(dyn Fn() -> Result<Config, Fault> + Send + Sync), mode: Mode) -> Result<Config, Fault> {
    let config = read()?;
    let fault = config.check(mode, clock::wall()).into_iter().find(|fault| fault.key.starts_with("auth."));
    fault.map_or(Ok(config), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::Keys;
    use crate::config::{Auth, Key, Secret};
    use std::sync::Mutex;

    fn config(secret: &str) -> Config {
        let key = Key { id: "main".into(), secret: Secret::new(secret), ..Key::default() };
        Config { auth: Auth { keys: vec![key], ..Auth::default() }, ..Config::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn good_keys_are_taken_on_a_signal_and_by_themselves_and_weak_ones_never() {
        let good = ["wIq7cC1nQ0gYx5uB2kR8sT4vZ9mE6hJ3", "jR5tW0yK7pL3vB9nD1fG6hS8aQ2xZ4cE"];
        let file = Arc::new(Mutex::new(config(good[0])));
        let taken = Arc::new(Keys::new(&config(good[0]).auth));
        let (hangup, hangups) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let (source, keys) = (Arc::clone(&file), Arc::clone(&taken));
        let read: Read = Arc::new(move || Ok(source.lock().unwrap().clone()));
        let task = tokio::spawn(keep(move |new| keys.replace(new), Mode::Production, read, hangups, stop.clone()));
        let same = |secret: &str| !taken.replace(&config(secret).auth.keys);
        *file.lock().unwrap() = config("weak");
        hangup.send(()).await.unwrap();
        tokio::time::sleep(EVERY * 2).await;
        assert!(same(good[0]), "a weak key was taken");
        *file.lock().unwrap() = config(good[1]);
        tokio::time::sleep(EVERY * 3).await;
        assert!(same(good[1]), "a changed file was not seen");
        stop.cancel();
        task.await.unwrap();
    }
}
