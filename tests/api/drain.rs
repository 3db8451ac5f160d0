//! The end of the server, on virtual time.

use crate::world::{OFFER, Stage, World, call};
use axum::http::Method;
use mixdown::config::{Config, Drain, Mode};
use mixdown::runtime::shutdown;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

fn world() -> (World, mpsc::Sender<&'static str>, mpsc::Receiver<&'static str>) {
    let (signal, signals) = mpsc::channel(4);
    (World::new(Config::default(), Mode::Dev, Stage::default()), signal, signals)
}

#[tokio::test(start_paused = true)]
async fn an_empty_server_ends_at_the_first_signal() {
    let (world, signal, signals) = world();
    signal.send("SIGTERM").await.expect("sent");
    let start = Instant::now();
    shutdown::run(signals, &*world.stage, &Drain::default()).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(world.get("/readyz").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn running_conferences_go_on_until_the_last_has_left() {
    let (world, signal, signals) = world();
    let (session, _) = world.join("/whip/standup").await;
    let start = Instant::now();
    let ends = async {
        signal.send("SIGTERM").await.expect("sent");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.get("/readyz").await.status, 503);
        assert_eq!(world.send(call(Method::POST, "/whip/standup").sdp(OFFER)).await.status, 503);
        assert_eq!(world.send(call(Method::DELETE, &session).empty()).await.status, 200);
    };
    let drain = Drain::default();
    tokio::join!(shutdown::run(signals, &*world.stage, &drain), ends);
    assert!((60..62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_stays_is_disconnected_when_the_time_is_over() {
    let (world, signal, signals) = world();
    world.join("/whip/standup").await;
    signal.send("SIGTERM").await.expect("sent");
    let start = Instant::now();
    shutdown::run(signals, &*world.stage, &Drain::default()).await;
    assert!((300..302).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    tokio::task::yield_now().await;
    assert!(mixdown::api::Rooms::list(&*world.stage).is_empty(), "the rooms were closed");
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once_even_where_a_room_does_not_answer() {
    let (world, signal, signals) = world();
    world.join("/whip/standup").await;
    world.stage.held.store(true, std::sync::atomic::Ordering::Relaxed);
    // A room that is stuck.
    mixdown::api::Rooms::open(&*world.stage, &"stuck".parse().expect("id"), Default::default()).expect("opened");
    let start = Instant::now();
    let twice = async {
        signal.send("SIGTERM").await.expect("sent");
        tokio::time::sleep(Duration::from_secs(5)).await;
        signal.send("SIGTERM").await.expect("sent");
    };
    let drain = Drain::default();
    tokio::join!(shutdown::run(signals, &*world.stage, &drain), twice);
    assert!((5..16).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}
