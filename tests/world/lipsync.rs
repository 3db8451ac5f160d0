//! A flash and a beep of one moment, in a recorded film.

use crate::guest::Profile;
use crate::recordings::{new, studio};
use std::time::Duration;

/// Somebody's picture waits for the beat of the canvas, a thirtieth of a second at most, and their sound for that of the mix, a fiftieth: when they send
/// between two beats is chance, but neither is late by itself.
#[test]
fn picture_and_sound_of_one_moment_stand_together_in_the_film_whenever_they_are_sent() {
    let mut studio = studio(Vec::new(), |_| {});
    for person in 1..=4 {
        studio.world.join(Profile { sings_from: u64::MAX, ..Profile::new(person) });
        studio.world.run_ms(27);
    }
    studio.world.connect(Duration::from_secs(3));
    studio.world.run_ms(1500);
    let id = studio.world.record(new()).unwrap();
    let mut moments = Vec::new();
    for _ in 0..3 {
        for guest in 0..4 {
            let now = studio.world.now;
            let guest = &mut studio.world.guests[guest];
            // Both a picture and a block of sound begin then.
            let from = guest.age(now).as_millis() as u64 / 100 * 100 + 200;
            (guest.profile.sings_from, guest.profile.sings_to) = (from, from + 120);
            moments.push((guest.profile.person, guest.id.unwrap(), (from * 30 / 1000) as u16));
            studio.world.run_ms(500);
        }
    }
    let film = studio.stop(id);
    let mut skews: Vec<i64> = moments.into_iter().map(|(person, id, frame)| film.skew(person, id, frame)).collect();
    println!("sound comes later than the picture by {skews:?} ms");
    assert!(skews.iter().all(|skew| skew.abs() <= 30), "{skews:?}");
    skews.sort_unstable();
    assert!((-15..=15).contains(&skews[6]), "on average neither waits for the other: {skews:?}");
}
