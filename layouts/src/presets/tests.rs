mod properties;

use super::*;
use crate::layout::{Corner, Order, Strip};
use crate::region::{Region, Seat as For};
use crate::{Fraction, Person, PersonId, Source, SourceId};
use proptest::prelude::*;
use std::fmt::Write;

const HD: Size = Size::new(1280, 720);
const BLACK: [u8; 3] = [0, 0, 0];

fn person(id: u64) -> Person {
    Person { name: format!("P{id}"), camera: Some(Source { id: SourceId(id * 2), size: Some(Size::new(640, 360)) }), ..Person::plain(id) }
}

fn cast(count: u64) -> Cast {
    Cast { people: (1..=count).map(person).collect(), ..Cast::default() }
}

fn share_screen(cast: &mut Cast, index: usize, size: Size) {
    cast.people[index].screen = Some(Source { id: SourceId(1000 + index as u64), size: Some(size) });
}

fn layout(kind: Kind) -> Layout {
    Layout { kind, max_tiles: 49, ..Layout::default() }
}

fn arrange(layout: &Layout, cast: &Cast) -> Scene {
    layout.arrange(cast, HD, BLACK)
}

fn shown(scene: &Scene) -> Vec<u64> {
    scene.tiles.iter().map(|tile| tile.person.0).collect()
}

fn rects(scene: &Scene) -> Vec<(u64, TileSource, Rect)> {
    scene.tiles.iter().map(|tile| (tile.person.0, tile.kind, tile.rect)).collect()
}

/// One line per row of equal tiles: `3 × 424x236 at 0,2 +428`.
fn table(scene: &Scene) -> String {
    let mut rows: Vec<Vec<Rect>> = Vec::new();
    for tile in &scene.tiles {
        match rows.last_mut().filter(|row| row[0].y == tile.rect.y && row[0].size() == tile.rect.size()) {
            Some(row) => row.push(tile.rect),
            None => rows.push(vec![tile.rect]),
        }
    }
    let mut text = rows
        .iter()
        .map(|row| {
            let first = row[0];
            let step = row.get(1).map_or(String::new(), |next| format!(" {:+}", i64::from(next.x) - i64::from(first.x)));
            format!("{}×{} at {},{}{step}", row.len(), first.size(), first.x, first.y)
        })
        .collect::<Vec<_>>()
        .join(" | ");
    if scene.overflow > 0 {
        let _ = write!(text, " (+{})", scene.overflow);
    }
    text
}

fn tables(layout: &Layout, canvas: Size, prepare: impl Fn(&mut Cast)) -> String {
    (1..=49)
        .map(|count| {
            let mut cast = cast(count);
            prepare(&mut cast);
            format!("{count:2}: {}\n", table(&layout.arrange(&cast, canvas, BLACK)))
        })
        .collect()
}

#[test]
fn grids_of_1_to_49_people() {
    insta::assert_snapshot!("grid_1280x720", tables(&layout(Kind::Grid), HD, |_| ()));
    insta::assert_snapshot!("grid_1280x720_without_gap", tables(&Layout { gap: 0, ..layout(Kind::Grid) }, HD, |_| ()));
    insta::assert_snapshot!("grid_720x1280", tables(&layout(Kind::Grid), Size::new(720, 1280), |_| ()));
}

#[test]
fn speakers_with_strips_of_1_to_49_people() {
    insta::assert_snapshot!("speaker_1280x720", tables(&layout(Kind::Speaker), HD, |_| ()));
    insta::assert_snapshot!("speaker_right_1280x720", tables(&Layout { strip: Strip::Right, ..layout(Kind::Speaker) }, HD, |_| ()));
    insta::assert_snapshot!("speaker_720x1280", tables(&layout(Kind::Speaker), Size::new(720, 1280), |_| ()));
}

#[test]
fn presentations_to_1_to_49_people() {
    let share = |cast: &mut Cast| share_screen(cast, 0, Size::new(1920, 1080));
    insta::assert_snapshot!("presentation_1280x720", tables(&layout(Kind::Auto), HD, share));
}

/// As [`tables`], with one line for all counts that stand alike, and what most of them leave over: `2–49: … (+47)`.
fn runs(layout: &Layout, canvas: Size) -> String {
    let mut runs: Vec<(u64, u64, String, u32)> = Vec::new();
    for count in 1..=49 {
        let scene = layout.arrange(&cast(count), canvas, BLACK);
        let (overflow, table) = (scene.overflow, table(&Scene { overflow: 0, ..scene }));
        match runs.last_mut().filter(|run| run.2 == table) {
            Some(run) => (run.1, run.3) = (count, overflow),
            None => runs.push((count, count, table, overflow)),
        }
    }
    let over = |overflow| if overflow > 0 { format!(" (+{overflow})") } else { String::new() };
    runs.iter().map(|(first, last, table, overflow)| format!("  {first}–{last}: {table}{}\n", over(*overflow))).collect()
}

#[test]
fn layouts_of_few_and_of_regions_for_1_to_49_people() {
    let mut text = String::new();
    for (name, canvas) in [("wide", HD), ("tall", Size::new(720, 1280)), ("very wide", Size::new(2560, 1080))] {
        for kind in ["pip", "side_by_side", "single", "1up_top_left_plus", "2up_top+8", "3up_plus", "multiple-5x1"] {
            let _ = write!(text, "{kind}, {name}\n{}", runs(&custom(&format!(r#"{{"type":"{kind}"}}"#)), canvas));
        }
        let nested = r#"{"type":"custom","regions":[{"width":"2/3","height":1,"seat":"active_speaker"},{"x":"2/3","width":"1/3","height":1,"tiles":12}]}"#;
        let _ = write!(text, "a speaker beside a grid, {name}\n{}", runs(&custom(nested), canvas));
    }
    insta::assert_snapshot!("few_and_regions", text);
}

#[test]
fn two_people_stand_side_by_side_and_one_fills_the_canvas() {
    let two = arrange(&Layout { gap: 0, ..layout(Kind::Grid) }, &cast(2));
    assert_eq!(two.tiles[0].rect, Rect::new(0, 180, 640, 360));
    assert_eq!(two.tiles[1].rect, Rect::new(640, 180, 640, 360));
    let one = arrange(&layout(Kind::Auto), &cast(1));
    assert_eq!(one.tiles[0].rect, Rect::new(0, 0, 1280, 720));
}

#[test]
fn nobody_moves_when_somebody_mutes_or_drops_the_camera_or_speaks() {
    for kind in [Kind::Auto, Kind::Grid] {
        let before = cast(9);
        let mut after = before.clone();
        after.people[3].muted = true;
        after.people[4].camera = None;
        after.people[5].last_spoke = 7;
        after.active_speaker = Some(PersonId(6));
        let (before, after) = (arrange(&layout(kind), &before), arrange(&layout(kind), &after));
        assert_eq!(rects(&before), rects(&after));
        assert!(after.tiles[5].speaking && after.tiles[3].muted);
        assert_eq!(after.tiles[4].source, None);
    }
}

#[test]
fn who_finds_no_tile_is_counted_and_pinned_people_find_one_without_changing_the_order() {
    let mut cast = cast(12);
    let layout = Layout { max_tiles: 4, ..layout(Kind::Grid) };
    assert_eq!(shown(&arrange(&layout, &cast)), [1, 2, 3, 4]);
    assert_eq!(arrange(&layout, &cast).overflow, 8);
    cast.people[9].pinned = true;
    assert_eq!(shown(&arrange(&layout, &cast)), [1, 2, 3, 10]);
    assert_eq!(arrange(&layout, &cast).overflow, 8);
}

#[test]
fn order_by_name_ignores_case_and_order_by_activity_puts_recent_speakers_first() {
    let mut cast = cast(3);
    for (person, (name, last_spoke)) in cast.people.iter_mut().zip([("zoe", 1), ("Adam", 0), ("bob", 2)]) {
        (person.name, person.last_spoke) = (name.into(), last_spoke);
    }
    let shown = |order| shown(&arrange(&Layout { order, ..layout(Kind::Grid) }, &cast));
    assert_eq!(shown(Order::Joined), [1, 2, 3]);
    assert_eq!(shown(Order::Name), [2, 3, 1]);
    assert_eq!(shown(Order::Activity), [3, 1, 2]);
}

#[test]
fn the_large_place_goes_to_screens_then_pins_then_the_speaker_then_the_first() {
    let large = |cast: &Cast| {
        let scene = arrange(&layout(Kind::Speaker), cast);
        (scene.tiles[0].person.0, scene.tiles[0].kind)
    };
    let mut cast = cast(5);
    assert_eq!(large(&cast), (1, TileSource::Camera));
    cast.previous_speaker = Some(PersonId(2));
    assert_eq!(large(&cast), (2, TileSource::Camera));
    cast.active_speaker = Some(PersonId(3));
    assert_eq!(large(&cast), (3, TileSource::Camera));
    cast.people[3].pinned = true;
    assert_eq!(large(&cast), (4, TileSource::Camera));
    share_screen(&mut cast, 4, HD);
    assert_eq!(large(&cast), (5, TileSource::Screen));
    share_screen(&mut cast, 3, HD);
    assert_eq!(large(&cast), (4, TileSource::Screen));
}

#[test]
fn a_speaker_who_has_left_does_not_empty_the_large_place() {
    let mut cast = cast(3);
    cast.active_speaker = Some(PersonId(77));
    assert_eq!(shown(&arrange(&layout(Kind::Speaker), &cast)), [1, 2, 3]);
}

#[test]
fn the_speaker_is_seen_beside_a_screen_even_when_the_strip_is_full() {
    let mut cast = cast(30);
    share_screen(&mut cast, 0, HD);
    cast.active_speaker = Some(PersonId(29));
    let scene = arrange(&layout(Kind::Auto), &cast);
    assert_eq!(shown(&scene), [1, 1, 2, 3, 4, 5, 6, 7, 29]);
    assert_eq!(scene.overflow, 22);
    assert!(scene.tiles[8].speaking);
}

#[test]
fn cameras_cover_while_little_is_cropped_and_screens_are_whole() {
    let fit = |picture: Size| {
        let mut cast = cast(4);
        cast.people[0].camera = Some(Source { id: SourceId(1), size: Some(picture) });
        arrange(&layout(Kind::Grid), &cast).tiles[0].fit
    };
    assert_eq!(fit(Size::new(640, 480)), Fit::Cover);
    assert_eq!(fit(Size::new(640, 360)), Fit::Cover);
    assert_eq!(fit(Size::new(480, 480)), Fit::Contain);
    assert_eq!(fit(Size::new(360, 640)), Fit::Contain);
    let mut shared = cast(2);
    share_screen(&mut shared, 0, HD);
    let scene = arrange(&layout(Kind::Auto), &shared);
    assert_eq!((scene.tiles[0].kind, scene.tiles[0].fit), (TileSource::Screen, Fit::Contain));
    let forced = arrange(&Layout { fit: Fit::Cover, ..layout(Kind::Auto) }, &shared);
    assert_eq!(forced.tiles[0].fit, Fit::Cover);
}

#[test]
fn a_screen_of_known_size_gets_a_tile_of_its_own_ratio() {
    let mut cast = cast(3);
    share_screen(&mut cast, 0, Size::new(1024, 768));
    let scene = arrange(&layout(Kind::Auto), &cast);
    let rect = scene.tiles[0].rect;
    assert!((f64::from(rect.width) / f64::from(rect.height) - 4.0 / 3.0).abs() < 0.01, "{rect:?}");
}

#[test]
fn usual_cameras_scale_by_exact_ratios_in_the_usual_grids() {
    let layout = Layout { gap: 0, ..layout(Kind::Grid) };
    for (people, tile) in [(2, (640, 360)), (4, (640, 360)), (9, (426, 240)), (16, (320, 180))] {
        let size = arrange(&layout, &cast(people)).tiles[0].rect.size();
        assert_eq!((size.width, size.height), tile);
    }
}

#[test]
fn the_border_follows_the_active_speaker_only_where_it_is_wanted() {
    let mut cast = cast(2);
    cast.active_speaker = Some(PersonId(2));
    let mut layout = layout(Kind::Grid);
    let speaking = |layout: &Layout| arrange(layout, &cast).tiles.iter().map(|tile| tile.speaking).collect::<Vec<_>>();
    assert_eq!(speaking(&layout), [false, true]);
    layout.active_speaker.border = false;
    assert_eq!(speaking(&layout), [false, false]);
}

fn custom(json: &str) -> Layout {
    let layout: Layout = serde_json::from_str(json).unwrap();
    assert_eq!(layout.faults(), []);
    layout
}

#[test]
fn pictures_in_pictures_stand_in_their_corner_and_show_who_would_be_next() {
    let mut cast = cast(5);
    (cast.active_speaker, cast.previous_speaker) = (Some(PersonId(4)), Some(PersonId(2)));
    for (corner, rect) in [
        (Corner::TopLeft, Rect::new(20, 20, 320, 180)),
        (Corner::TopRight, Rect::new(940, 20, 320, 180)),
        (Corner::BottomLeft, Rect::new(20, 520, 320, 180)),
        (Corner::BottomRight, Rect::new(940, 520, 320, 180)),
    ] {
        let scene = arrange(&Layout { corner, ..layout(Kind::Pip) }, &cast);
        assert_eq!((shown(&scene), scene.tiles[1].rect, scene.overflow), (vec![4, 2], rect, 0));
    }
    share_screen(&mut cast, 0, HD);
    let scene = arrange(&layout(Kind::Pip), &cast);
    assert_eq!((scene.tiles[0].kind, shown(&scene)), (TileSource::Screen, vec![1, 4]));
}

#[test]
fn the_small_place_is_no_stamp_on_upright_and_square_canvases_and_shows_upright_pictures_upright() {
    let small = |canvas, picture: Size| {
        let mut people = cast(2);
        people.people[1].camera = Some(Source { id: SourceId(4), size: Some(picture) });
        layout(Kind::Pip).arrange(&people, canvas, BLACK).tiles[1].rect.size()
    };
    let (wide, upright) = (Size::new(640, 360), Size::new(360, 640));
    assert_eq!(small(HD, wide), Size::new(320, 180));
    assert_eq!(small(HD, upright), Size::new(150, 270));
    assert_eq!(small(Size::new(720, 1280), wide), Size::new(288, 162));
    assert_eq!(small(Size::new(720, 1280), upright), Size::new(270, 480));
    assert_eq!(small(Size::new(720, 720), wide), Size::new(240, 134));
    assert_eq!(small(Size::new(1720, 720), wide), Size::new(320, 180));
}

#[test]
fn two_are_as_large_as_the_canvas_lets_them_be() {
    let first = |canvas| layout(Kind::SideBySide).arrange(&cast(2), canvas, BLACK).tiles[0].rect.size();
    assert_eq!(first(Size::new(720, 720)), Size::new(636, 358), "above each other");
    assert_eq!(first(Size::new(960, 720)), Size::new(478, 268), "beside each other");
}

#[test]
fn a_canvas_without_people_says_so_unless_it_shall_not() {
    let said = |layout: &Layout, people| {
        let overlays = layout.arrange(&cast(people), HD, BLACK).overlays;
        overlays
            .into_iter()
            .filter_map(|lay| if let Content::Notice { text, .. } = lay.content { Some(text) } else { None })
            .collect::<Vec<_>>()
    };
    for kind in [Kind::Auto, Kind::Grid, Kind::Speaker, Kind::SideBySide, Kind::Pip, Kind::Single] {
        assert_eq!(said(&layout(kind), 0), ["Waiting for others"], "{kind:?}");
        assert!(said(&layout(kind), 1).is_empty(), "{kind:?}");
    }
    assert!(said(&Layout { empty: String::new(), ..layout(Kind::Grid) }, 0).is_empty());
    assert_eq!(said(&custom(r#"{"type":"custom","empty":"Soon","regions":[{"seat":{"role":"host"}}]}"#), 3), ["Soon"]);
}

#[test]
fn two_sides_hold_the_dialogue_and_nobody_changes_sides_with_every_word() {
    let mut cast = cast(6);
    (cast.active_speaker, cast.previous_speaker) = (Some(PersonId(5)), Some(PersonId(3)));
    assert_eq!(shown(&arrange(&layout(Kind::SideBySide), &cast)), [3, 5]);
    (cast.active_speaker, cast.previous_speaker) = (Some(PersonId(3)), Some(PersonId(5)));
    let scene = arrange(&layout(Kind::SideBySide), &cast);
    assert_eq!(shown(&scene), [3, 5]);
    assert!(scene.tiles[0].rect.right() <= scene.tiles[1].rect.x);
    let tall = layout(Kind::SideBySide).arrange(&cast, Size::new(720, 1280), BLACK);
    assert!(tall.tiles[0].rect.bottom() <= tall.tiles[1].rect.y);
    share_screen(&mut cast, 5, HD);
    let scene = arrange(&layout(Kind::SideBySide), &cast);
    assert_eq!((scene.tiles[0].kind, shown(&scene)), (TileSource::Screen, vec![6, 3]));
}

#[test]
fn a_single_place_follows_pins_then_speakers() {
    let mut cast = cast(4);
    cast.active_speaker = Some(PersonId(3));
    assert_eq!(rects(&arrange(&layout(Kind::Single), &cast)), [(3, TileSource::Camera, Rect::new(0, 0, 1280, 720))]);
    cast.people[1].pinned = true;
    assert_eq!(shown(&arrange(&layout(Kind::Single), &cast)), [2]);
}

#[test]
fn nobody_in_the_strip_moves_but_those_who_change_places_with_the_speaker() {
    let mut cast = cast(5);
    cast.active_speaker = Some(PersonId(1));
    assert_eq!(shown(&arrange(&layout(Kind::Speaker), &cast)), [1, 2, 3, 4, 5]);
    cast.active_speaker = Some(PersonId(4));
    assert_eq!(shown(&arrange(&layout(Kind::Speaker), &cast)), [4, 2, 3, 1, 5]);
    cast.active_speaker = Some(PersonId(2));
    assert_eq!(shown(&arrange(&layout(Kind::Speaker), &cast)), [2, 1, 3, 4, 5]);
}

#[test]
fn on_a_square_canvas_pictures_stand_above_each_other_and_waste_no_more_of_it_than_they_must() {
    let mut cast = cast(3);
    cast.active_speaker = Some(PersonId(1));
    let sizes = |kind| layout(kind).arrange(&cast, Size::new(480, 480), BLACK).tiles.iter().map(|tile| tile.rect).collect::<Vec<_>>();
    let sides = sizes(Kind::SideBySide);
    assert!(sides[0].bottom() <= sides[1].y && sides.iter().all(|side| side.width >= 420), "{sides:?}");
    for kind in [Kind::Speaker, Kind::Presentation] {
        let tiles = sizes(kind);
        assert_eq!((tiles[0].y, tiles[0].width, tiles[0].height), (0, 480, 270), "{kind:?}");
        assert!(tiles[1..].iter().all(|small| small.y >= 270 && small.width >= 170), "{kind:?}: {tiles:?}");
    }
    let classic = layout(Kind::SideBySide).arrange(&cast, Size::new(640, 480), BLACK);
    assert_eq!(classic.tiles[0].rect.y, classic.tiles[1].rect.y, "4:3 is wide enough for two beside each other");
}

#[test]
fn on_a_very_wide_canvas_the_others_stand_beside_who_is_large_and_little_of_it_is_empty() {
    for (width, height) in [(2560, 1080), (3440, 1440), (2560, 720), (3840, 720)] {
        for (strip, first) in [(Strip::Bottom, true), (Strip::Right, true), (Strip::Top, false), (Strip::Left, false)] {
            for people in 2..=20 {
                let what = format!("{people} on {width}x{height}, {strip:?}");
                let scene = Layout { strip, ..layout(Kind::Speaker) }.arrange(&cast(people), Size::new(width, height), BLACK);
                let (large, small) = (scene.tiles[0].rect, &scene.tiles[1..]);
                assert_eq!((large.height, large.width), (height, height * 16 / 9), "{what}");
                assert!(small.iter().all(|tile| (tile.rect.x >= large.right()) == first && tile.rect.width < large.width), "{what}");
                assert_eq!(shown(&scene).len() as u64, people, "{what}");
                let filled: u32 = scene.tiles.iter().map(|tile| tile.rect.size().pixels() as u32).sum();
                assert!(people < 4 || filled * 10 >= width * height * 6, "{what}: {filled}");
            }
        }
    }
    let mut upright = cast(3);
    upright.people[0].camera = Some(Source { id: SourceId(2), size: Some(Size::new(360, 640)) });
    let small = |cast| rects(&layout(Kind::Speaker).arrange(cast, Size::new(2560, 720), BLACK))[1..].to_vec();
    assert_eq!(small(&upright), small(&cast(3)), "a speaker filmed upright moves nobody else");
}

#[test]
fn an_interpreter_with_a_frame_rate_keeps_the_seat_while_speaking_and_the_large_place_shows_who_spoke_before() {
    let layout = custom(
        r#"{"type":"custom","regions":[
            {"id":"large","width":0.75,"height":1,"seat":"active_speaker"},
            {"id":"sign","x":0.75,"width":0.25,"height":0.5,"seat":{"participant":"pt_4"},"min_fps":25},
            {"x":0.75,"y":0.5,"width":0.25,"height":0.5,"seat":"any","tiles":4}]}"#,
    );
    let mut cast = cast(5);
    cast.people[3].key = "pt_4".into();
    (cast.active_speaker, cast.previous_speaker) = (Some(PersonId(4)), Some(PersonId(2)));
    let scene = arrange(&layout, &cast);
    assert_eq!(shown(&scene), [2, 4, 1, 3, 5]);
    assert_eq!((scene.tiles[1].rect, scene.tiles[1].min_fps), (Rect::new(960, 0, 320, 360), 25));
    (cast.active_speaker, cast.people[0].pinned) = (Some(PersonId(2)), true);
    assert_eq!(shown(&arrange(&layout, &cast))[..2], [1, 4], "a pin comes before the speaker, and before nobody with a frame rate");
}

#[test]
fn seats_go_to_roles_screens_and_pins_and_stay_empty_without_them() {
    let layout = custom(
        r#"{"type":"custom","regions":[
            {"width":0.5,"height":0.5,"seat":"screen"},
            {"x":0.5,"width":0.5,"height":0.5,"seat":{"role":"host"}},
            {"y":0.5,"width":0.5,"height":0.5,"seat":"pinned"},
            {"x":0.5,"y":0.5,"width":0.5,"height":0.5,"z":3,"seat":"previous_speaker"}]}"#,
    );
    let mut cast = cast(4);
    assert_eq!(shown(&arrange(&layout, &cast)), [1]);
    cast.people[0].role = Some("host".into());
    cast.people[2].pinned = true;
    share_screen(&mut cast, 1, HD);
    cast.previous_speaker = Some(PersonId(4));
    let scene = arrange(&layout, &cast);
    assert_eq!(shown(&scene), [2, 1, 3, 4]);
    assert_eq!((scene.tiles[0].kind, scene.overflow), (TileSource::Screen, 0));
}

#[test]
fn groups_are_chosen_by_the_number_of_people_and_the_last_holds_for_more() {
    let layout = custom(r#"{"type":"1up_top_left_plus"}"#);
    let tiles = |people| arrange(&layout, &cast(people)).tiles.len();
    assert_eq!((tiles(3), tiles(6), tiles(7), tiles(9), tiles(30)), (3, 6, 7, 9, 10));
    assert_eq!(arrange(&layout, &cast(30)).overflow, 20);
    assert_eq!(arrange(&layout, &cast(6)).tiles[0].rect, Rect::new(0, 0, 854, 480));
    assert_eq!(arrange(&layout, &cast(9)).tiles[0].rect, Rect::new(0, 0, 1024, 576));
}

#[test]
fn typical_casts_in_every_layout() {
    let mut talk = cast(7);
    (talk.active_speaker, talk.previous_speaker) = (Some(PersonId(3)), Some(PersonId(5)));
    let mut lecture = talk.clone();
    share_screen(&mut lecture, 0, Size::new(1920, 1080));
    lecture.people[4].pinned = true;
    let layouts =
        ["auto", "grid", "speaker", "presentation", "side_by_side", "pip", "single", "multiple-5x1", "2up_top+8", "3up_plus", "overlaps"];
    let mut text = String::new();
    for (name, cast) in [("a talk of 7", &talk), ("a lecture", &lecture)] {
        for (canvas, size) in [("wide", HD), ("tall", Size::new(720, 1280))] {
            for kind in layouts {
                let scene = custom(&format!(r#"{{"type":"{kind}"}}"#)).arrange(cast, size, BLACK);
                let who = |tile: &Tile| format!("{}{}", tile.person.0, if tile.kind == TileSource::Screen { "s" } else { "" });
                let who: Vec<String> = scene.tiles.iter().map(who).collect();
                let _ = writeln!(text, "{name}, {canvas}, {kind}: {} | {}", who.join(" "), table(&scene));
            }
        }
    }
    insta::assert_snapshot!("typical_casts", text);
}
