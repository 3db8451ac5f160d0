use super::*;

const HD: u32 = 1_500_000;

struct Story {
    tier: Tier,
    now: Instant,
    start: Instant,
    /// Times in ms at which the rung changed, and what it then needed in kb/s.
    moves: Vec<(u64, u32)>,
}

impl Story {
    fn new() -> Self {
        let start = crate::runtime::clock::now();
        let mut tier = Tier::default();
        tier.follow(&Canvas::default(), HD, false, Wishes::default());
        Self { tier, now: start, start, moves: Vec::new() }
    }

    /// A link of this rate for so many ms: the estimate comes every 200 ms, and is found only as far as it is aimed at.
    fn link(&mut self, bps: u32, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.now < end {
            let before = self.tier.rung().unwrap().needs_bps;
            if (self.now - self.start).as_millis().is_multiple_of(200) {
                let found = bps.min(self.tier.aim().end.max(before));
                self.tier.estimate(found, false, self.now);
            }
            if self.tier.deadline().is_some_and(|at| at <= self.now) {
                self.tier.handle_timeout(false, self.now);
                assert!(self.tier.deadline().is_none_or(|at| at > self.now), "a deadline that stays is a spin");
            }
            let after = self.tier.rung().unwrap().needs_bps;
            if after != before {
                self.moves.push(((self.now - self.start).as_millis() as u64, after / 1000));
            }
            self.now += Duration::from_millis(10);
        }
    }

    fn needs(&self) -> u32 {
        self.tier.rung().unwrap().needs_bps
    }

    fn wish(&mut self, wishes: Wishes) -> Rung {
        self.tier.follow(&Canvas::default(), HD, false, wishes);
        self.tier.rung().unwrap()
    }
}

#[test]
fn it_begins_at_the_top_and_a_guess_about_the_link_does_not_take_it_down() {
    let mut story = Story::new();
    story.tier.estimate(1_000_000, false, story.now);
    assert_eq!(story.needs(), HD + SOUND_BPS);
    story.now += Duration::from_millis(200);
    story.link(4_000_000, 5_000);
    assert!(story.moves.is_empty(), "{:?}", story.moves);
}

#[test]
fn who_begins_on_a_thin_link_leaves_the_top_at_the_first_real_estimate() {
    let mut story = Story::new();
    story.tier.estimate(1_000_000, false, story.now);
    story.tier.estimate(300_000, false, story.now + Duration::from_millis(300));
    assert!(story.needs() <= 300_000);
}

#[test]
fn down_at_once_and_back_within_seconds_after_the_link_has_come_back() {
    let mut story = Story::new();
    story.link(4_000_000, 5_000);
    story.link(150_000, 10_000);
    assert_eq!(story.moves.len(), 1, "{:?}", story.moves);
    assert!(story.moves[0].0 <= 5_200 && story.needs() <= 150_000 && story.tier.has_picture(), "{:?}", story.moves);
    story.link(4_000_000, 10_000);
    assert_eq!(story.needs(), HD + SOUND_BPS, "{:?}", story.moves);
}

#[test]
fn what_a_better_rung_needs_is_sent_before_it_is_taken() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    assert_eq!(story.tier.aim().start, 0, "at the top");
    story.link(250_000, 5_000);
    let (thin, mut least) = (story.needs(), 0);
    for _ in 0..300 {
        story.link(4_000_000, 10);
        if story.needs() > thin {
            break;
        }
        least = story.tier.aim().start;
    }
    assert!(least > thin && story.needs() >= least, "{least} of {}", story.needs());
    story.link(4_000_000, 10_000);
    assert_eq!((story.needs(), story.tier.aim().start), (HD + SOUND_BPS, 0));
}

#[test]
fn the_slowest_picture_gets_thinner_where_it_is_as_long_as_that_fits() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    story.link(110_000, 5_000);
    assert_eq!(story.tier.rung().unwrap().pace, Pace::Slow, "{:?}", story.moves);
    let needs = story.needs();
    story.tier.congested(needs, story.now);
    assert_eq!((story.tier.rung().unwrap().pace, story.tier.grade()), (Pace::Slow, Some(Grade::Thin)));
    story.tier.congested(needs - 1, story.now + Duration::from_secs(1));
    assert_eq!(story.tier.rung().unwrap().pace, Pace::Still);
}

/// Probes are twice of what is aimed at, and lower the estimate where they find less.
#[test]
fn nothing_less_is_probed_for_than_what_is_known_and_nothing_that_would_be_of_no_use() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    let whole = story.tier.aim().end;
    story.link(8_000_000, 3_000);
    assert_eq!(story.tier.aim().end, whole);
    // It has just fallen, and tries nothing yet.
    story.link(110_000, 400);
    story.tier.estimate(700_000, false, story.now);
    assert_eq!((story.tier.rung().unwrap().pace, story.tier.aim().start), (Pace::Slow, 0));
    assert!((350_000..700_000).contains(&story.tier.aim().end), "{:?}", story.tier.aim());
}

/// The estimator has to learn first that so much gets through.
#[test]
fn what_takes_far_more_than_what_is_sent_is_taken_later() {
    let after = |thin: u32| {
        let mut story = Story::new();
        story.link(4_000_000, 3_000);
        story.link(thin, 20_000);
        let (from, needs) = (story.now, story.needs());
        while story.needs() == needs {
            story.link(4_000_000, 10);
        }
        (story.now - from).as_millis()
    };
    let (far, near) = (after(110_000), after(900_000));
    assert!(far >= near + 500, "{far} and {near} ms");
}

#[test]
fn an_attempt_that_fails_is_repeated_ever_more_rarely() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    // Looks like a good link until it is used.
    let mut ups = Vec::new();
    for _ in 0..2_400 {
        let before = story.needs();
        story.link(if before > 700_000 { 500_000 } else { 4_000_000 }, 100);
        if story.needs() > before {
            ups.push((story.now - story.start).as_secs());
        }
    }
    let gaps: Vec<u64> = ups.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(ups.len() <= 9 && gaps.is_sorted() && *gaps.last().unwrap() >= 55, "{ups:?}");
}

#[test]
fn an_estimate_that_hovers_about_what_is_needed_moves_nobody() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    for n in 0..100 {
        story.link(if n % 2 == 0 { 1_400_000 } else { 1_700_000 }, 300);
    }
    assert!(story.moves.is_empty(), "{:?}", story.moves);
}

#[test]
fn wishes_count_at_once_in_both_directions() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    let size = |width, height| Some(Size::new(width, height));
    let side = |rung: Rung| (rung.pace, rung.size.height);
    assert_eq!(side(story.wish(Wishes { max_size: size(800, u32::MAX), ..Wishes::default() })), (Pace::Whole, 360));
    assert_eq!(side(story.wish(Wishes { max_size: size(10, 10), ..Wishes::default() })), (Pace::Whole, 180));
    assert_eq!(side(story.wish(Wishes { shown: size(900, 2000), ..Wishes::default() })), (Pace::Whole, 540));
    assert_eq!(side(story.wish(Wishes { shown: size(0, 0), ..Wishes::default() })), (Pace::Whole, 720));
    assert_eq!(side(story.wish(Wishes { max_bps: Some(700_000), ..Wishes::default() })), (Pace::Whole, 360));
    assert_eq!(side(story.wish(Wishes { max_bps: Some(200_000), ..Wishes::default() })), (Pace::Halved, 180));
    assert!(story.wish(Wishes { save_data: true, ..Wishes::default() }).needs_bps <= SAVING_BPS);
    story.wish(Wishes { hidden: true, ..Wishes::default() });
    assert!(!story.tier.has_picture() && story.tier.grade() == Some(Grade::Whole));
    story.tier.estimate(60_000, false, story.now);
    assert_eq!(story.tier.grade(), Some(Grade::Lean), "beside no picture the sound has all of the link");
    story.link(4_000_000, 15_000);
    assert_eq!(side(story.wish(Wishes::default())), (Pace::Whole, 720));
    assert!(story.tier.has_picture());
}

#[test]
fn more_is_given_only_as_far_as_the_link_is_known_to_carry_it() {
    let mut story = Story::new();
    story.tier.congested(450_000, story.now);
    story.wish(Wishes { max_bps: Some(200_000), ..Wishes::default() });
    story.link(450_000, 3_000);
    let wide = story.wish(Wishes::default());
    assert!(wide.needs_bps <= 450_000, "{wide:?}");
    story.link(480_000, 20_000);
    assert!((400_000..480_000).contains(&story.needs()), "{:?}", story.moves);
}

#[test]
fn an_encoder_for_one_follows_the_link_between_its_rung_and_the_next() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    assert_eq!(story.tier.steer(), Some(HD));
    story.tier.estimate(1_400_000, true, story.now);
    assert_eq!(story.needs(), HD + SOUND_BPS, "alone it stays where it is");
    assert_eq!(story.tier.steer(), Some((1_400_000.0 * STEERED) as u32 - SOUND_BPS));
    story.tier.estimate(900_000, true, story.now);
    let rung = story.tier.rung().unwrap();
    assert_eq!(rung.size.height, 360);
    let rate = story.tier.steer().unwrap();
    assert!(rate > rung.bitrate_bps && rate + SOUND_BPS < 900_000, "{rate}");
}

#[test]
fn without_an_estimator_congestion_takes_down_and_time_back() {
    let mut story = Story::new();
    story.tier.congested(620_000, story.now);
    story.tier.congested(100_000, story.now + Duration::from_millis(100));
    assert_eq!(story.needs() / 10_000, 61, "one report counts while its effect is awaited");
    for _ in 0..4_000 {
        story.now += Duration::from_millis(10);
        if story.tier.deadline().is_some_and(|at| at <= story.now) {
            story.tier.handle_timeout(false, story.now);
        }
    }
    assert_eq!(story.needs(), HD + SOUND_BPS);
}

#[test]
fn who_loses_pictures_again_and_again_is_served_apart_and_comes_back_ever_later() {
    let mut story = Story::new();
    let apart = |story: &Story| story.tier.rung().unwrap().apart;
    for ms in [0, 500, 1_500] {
        story.tier.lost(true, story.start + Duration::from_millis(ms));
        assert!(!apart(&story), "who has just come");
    }
    story.tier.lost(false, story.start + Duration::from_secs(3));
    assert!(!apart(&story), "who is alone");
    for seconds in [60, 120, 240] {
        story.tier.lost(true, story.now + Duration::from_secs(3));
        story.tier.lost(true, story.now + Duration::from_secs(5));
        assert!(apart(&story));
        story.link(4_000_000, (seconds + 4) * 1000);
        assert!(apart(&story), "{seconds}");
        story.link(4_000_000, 2_000);
        assert!(!apart(&story), "{seconds}");
    }
    story.tier.lost(true, story.now);
    assert!(apart(&story) && !story.wish(Wishes { step: Step::Fps15, ..Wishes::default() }).apart, "a server without time");
}

#[test]
fn nobody_who_hides_is_sent_padding_beyond_the_sound() {
    let mut story = Story::new();
    story.link(4_000_000, 3_000);
    story.link(100_000, 3_000);
    story.wish(Wishes { hidden: true, ..Wishes::default() });
    for _ in 0..200 {
        story.link(100_000, 100);
        assert!(story.tier.aim().end <= SOUND_BPS, "{}", story.tier.aim().end);
    }
    story.wish(Wishes::default());
    story.link(4_000_000, 10_000);
    assert_eq!(story.needs(), HD + SOUND_BPS, "{:?}", story.moves);
}

#[test]
fn who_limits_the_rate_comes_back_to_all_that_it_allows_and_no_more_is_probed_for_than_that_takes() {
    let rungs = ladder(&Canvas::default(), HD, false);
    for most in rungs.iter().map(|rung| rung.needs_bps).filter(|needs| *needs > 200_000).chain([SAVING_BPS]) {
        let mut story = Story::new();
        story.link(4_000_000, 3_000);
        let wishes = Wishes { max_bps: Some(most), ..Wishes::default() };
        let best = story.wish(wishes).needs_bps;
        story.link(100_000, 3_000);
        assert!(story.needs() < best, "{most}");
        for _ in 0..600 {
            story.link(4_000_000, 100);
            assert!(story.tier.aim().end as f32 <= most as f32 * 1.21, "{most}: {}", story.tier.aim().end);
        }
        assert_eq!(story.needs(), best, "{most}: {:?}", story.moves);
    }
}

/// Seconds in which the pictures take that share of the rung's bits, on a link of this rate.
fn pictures(story: &mut Story, share: f32, bps: u32, seconds: u32) {
    for _ in 0..seconds {
        let bits = (story.needs() - SOUND_BPS) as f32 * share;
        story.tier.pictures(bits as u32, false, story.now);
        story.link(bps, 1_000);
    }
}

#[test]
fn a_rung_is_kept_on_a_link_that_carries_what_its_pictures_take_and_left_once_they_take_more() {
    let mut story = Story::new();
    pictures(&mut story, 0.2, 4_000_000, 15);
    pictures(&mut story, 0.2, 1_000_000, 10);
    // A gesture fits as well.
    pictures(&mut story, 0.5, 1_000_000, 1);
    pictures(&mut story, 0.2, 1_000_000, 10);
    assert_eq!((story.needs(), story.moves.len()), (HD + SOUND_BPS, 0), "{:?}", story.moves);
    pictures(&mut story, 0.7, 1_000_000, 1);
    assert!((300_000..=1_000_000).contains(&story.needs()), "{}", story.needs());
    // That much of its bits is six tenths of them at least.
    let mut story = Story::new();
    pictures(&mut story, 0.01, 4_000_000, 15);
    pictures(&mut story, 0.01, 750_000, 1);
    assert!(story.needs() < HD, "{:?}", story.moves);
}

#[test]
fn a_better_rung_is_taken_where_pictures_take_little_and_one_that_takes_more_than_thought_is_left_for_longer_each_time() {
    let mut story = Story::new();
    pictures(&mut story, 0.9, 1_200_000, 5);
    assert!(story.needs() < HD, "{:?}", story.moves);
    pictures(&mut story, 0.2, 1_200_000, 25);
    assert_eq!(story.needs(), HD + SOUND_BPS, "{:?}", story.moves);
    // Here they take little, and a rung further up nearly all of their bits.
    let mut story = Story::new();
    pictures(&mut story, 0.9, 1_200_000, 5);
    let from = story.moves.len();
    for _ in 0..120 {
        let share = if story.needs() < HD { 0.2 } else { 0.9 };
        pictures(&mut story, share, 1_200_000, 1);
    }
    assert!((2..=12).contains(&(story.moves.len() - from)), "{:?}", story.moves);
}

#[test]
fn while_pictures_stand_still_a_link_is_seldom_filled_and_at_once_when_they_move_again() {
    let mut story = Story::new();
    story.link(600_000, 5_000);
    let mut looks = |bps: u32, seconds: u32| {
        let mut looks = 0;
        for _ in 0..seconds * 10 {
            let before = story.tier.looking.is_some();
            story.tier.pictures(bps, false, story.now);
            story.link(600_000, 100);
            looks += u32::from(story.tier.looking.is_some() && !before);
        }
        looks
    };
    let (moving, still) = (looks(400_000, 40), looks(1_000, 40));
    assert!(moving >= 12 && still <= 3, "{moving}, {still}");
    assert!(looks(400_000, 1) == 1 || story.tier.looking.is_some(), "at once");
}

#[test]
fn where_packets_wait_a_rung_needs_all_of_its_bits_again_and_a_screen_always_does() {
    let mut story = Story::new();
    pictures(&mut story, 0.2, 4_000_000, 15);
    story.tier.congested(1_000_000, story.now);
    assert!(story.needs() <= 1_000_000, "{:?}", story.moves);
    let mut story = Story::new();
    story.tier.follow(&Canvas::default(), HD, true, Wishes::default());
    pictures(&mut story, 0.01, 4_000_000, 15);
    pictures(&mut story, 0.01, 1_000_000, 1);
    assert!(story.needs() <= 1_000_000, "{:?}", story.moves);
}

#[test]
fn what_is_known_of_cameras_holds_for_another_canvas_and_one_report_across_two_rungs_counts_for_neither() {
    let mut story = Story::new();
    pictures(&mut story, 0.2, 4_000_000, 15);
    let wider = Canvas { fps: 25, ..Canvas::default() };
    story.tier.follow(&wider, HD, false, Wishes::default());
    let needs = story.needs();
    // A second of the rung before.
    story.tier.pictures(needs, false, story.now);
    story.tier.estimate(1_000_000, false, story.now);
    assert_eq!(story.needs(), needs);
}
