use super::*;
use crate::draw::Picture;
use crate::{Fit, SourceId, Tile};
use std::collections::BTreeMap;

/// Pictures by source: luma of a flat picture, its size and its number.
#[derive(Default)]
struct Stills(BTreeMap<SourceId, Picture>);

impl Stills {
    fn show(&mut self, source: u64, size: Size, luma: u8) {
        let mut frame = I420Frame::black(size);
        frame.fill(luma, 90, 160);
        let sequence = self.0.get(&SourceId(source)).map_or(1, |old| old.sequence + 1);
        let scaled = self.0.get(&SourceId(source)).and_then(|old| old.scaled.clone());
        self.0.insert(SourceId(source), Picture { frame: Arc::new(frame), sequence, quarter_turns: 0, flip: false, scaled });
    }
}

impl Pictures for Stills {
    fn latest(&self, source: SourceId) -> Option<Picture> {
        self.0.get(&source).cloned()
    }
}

fn tile(id: u64, rect: Rect) -> Tile {
    Tile { name: format!("P{id}"), ..Tile::plain(id, rect) }
}

/// Two tiles of 64×36 side by side with a gap of 4.
fn scene() -> Scene {
    let tiles = vec![tile(1, Rect::new(0, 2, 64, 36)), tile(2, Rect::new(68, 2, 64, 36))];
    Scene { background: [16, 16, 20], ..Scene::plain(Size::new(132, 40), tiles) }
}

fn stills() -> Stills {
    let mut stills = Stills::default();
    stills.show(1, Size::new(128, 72), 100);
    stills.show(2, Size::new(128, 72), 150);
    stills
}

fn canvas(scene: &Scene) -> Canvas {
    Canvas::with_fonts(scene.canvas, Fonts::bundled())
}

/// What a new canvas would show.
fn fresh(scene: &Scene, pictures: &Stills) -> I420Frame {
    let mut canvas = canvas(scene);
    canvas.draw(scene, pictures);
    canvas.frame
}

fn luma(frame: &I420Frame, x: u32, y: u32) -> u8 {
    frame.planes().y[(y * frame.size().width + x) as usize]
}

#[test]
fn nothing_is_drawn_while_nothing_changes() {
    let (scene, pictures) = (scene(), stills());
    let mut canvas = canvas(&scene);
    assert_eq!(canvas.draw(&scene, &pictures), Damage { tiles: 2, overlays: 0, everything: true });
    for _ in 0..3 {
        assert!(canvas.draw(&scene, &pictures).is_empty());
    }
}

#[test]
fn a_new_picture_repaints_its_own_tile_and_no_other_pixel() {
    let (scene, mut pictures) = (scene(), stills());
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    let before = canvas.frame.clone();
    pictures.show(2, Size::new(128, 72), 60);
    assert_eq!(canvas.draw(&scene, &pictures), Damage { tiles: 1, overlays: 0, everything: false });
    for y in 0..40 {
        for x in 0..132 {
            let changed = luma(&canvas.frame, x, y) != luma(&before, x, y);
            assert_eq!(changed, x >= 68 && (2..38).contains(&y), "{x},{y}");
        }
    }
}

#[test]
fn the_speaker_border_comes_and_goes_without_residue() {
    let (mut scene, pictures) = (scene(), stills());
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    let before = canvas.frame.clone();
    scene.tiles[0].speaking = true;
    assert_eq!(canvas.draw(&scene, &pictures).tiles, 1);
    assert_ne!(canvas.frame, before);
    assert_eq!(luma(&canvas.frame, 32, 20), 100);
    assert_eq!(canvas.frame, fresh(&scene, &pictures));
    scene.tiles[0].speaking = false;
    assert_eq!(canvas.draw(&scene, &pictures).tiles, 1);
    assert_eq!(canvas.frame, before);
}

#[test]
fn a_change_of_size_or_ratio_in_mid_stream_leaves_no_trace() {
    let (mut scene, mut pictures) = (scene(), stills());
    scene.tiles[0].fit = Fit::Contain;
    let mut canvas = canvas(&scene);
    for (width, height) in [(1280, 720), (640, 360), (320, 180), (321, 241), (2, 2), (36, 64), (64, 36), (1, 1), (64, 20)] {
        pictures.show(1, Size::new(width, height), 100);
        pictures.show(2, Size::new(width, height), 150);
        canvas.draw(&scene, &pictures);
        assert_eq!(canvas.frame, fresh(&scene, &pictures), "{width}x{height}");
        for y in 2..38 {
            for x in 68..132 {
                assert_eq!(luma(&canvas.frame, x, y), 150, "{width}x{height} at {x},{y}");
            }
        }
        assert_eq!(luma(&canvas.frame, 32, 20), 100);
    }
}

#[test]
fn without_a_picture_the_tile_is_plain_until_one_comes() {
    let (scene, mut pictures) = (scene(), stills());
    let gone = pictures.0.remove(&SourceId(2));
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    assert!(luma(&canvas.frame, 70, 4) < 50);
    pictures.0.extend(gone.map(|picture| (SourceId(2), picture)));
    assert_eq!(canvas.draw(&scene, &pictures).tiles, 1);
    assert_eq!(canvas.frame, fresh(&scene, &pictures));
}

#[test]
fn a_scene_with_other_places_or_another_size_redraws_everything() {
    let (mut scene, pictures) = (scene(), stills());
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    scene.tiles.remove(0);
    assert_eq!(canvas.draw(&scene, &pictures), Damage { tiles: 1, overlays: 0, everything: true });
    assert_eq!(canvas.frame, fresh(&scene, &pictures));
    scene.canvas = Size::new(200, 80);
    assert!(canvas.draw(&scene, &pictures).everything);
    assert_eq!(canvas.frame().size(), Size::new(200, 80));
    scene.tiles.clear();
    assert_eq!(canvas.draw(&scene, &pictures), Damage { tiles: 0, overlays: 0, everything: true });
}

#[test]
fn a_tile_that_covers_another_stays_on_top_when_the_lower_one_changes() {
    let (mut scene, mut pictures) = (scene(), stills());
    scene.tiles[1].rect = Rect::new(40, 20, 16, 10);
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    pictures.show(1, Size::new(128, 72), 77);
    assert_eq!(canvas.draw(&scene, &pictures).tiles, 2);
    assert_eq!((luma(&canvas.frame, 44, 24), luma(&canvas.frame, 4, 4)), (150, 77));
    pictures.show(2, Size::new(128, 72), 33);
    assert_eq!(canvas.draw(&scene, &pictures).tiles, 1);
    assert_eq!(canvas.frame, fresh(&scene, &pictures));
}

#[test]
fn a_given_copy_is_untouched_by_later_drawing() {
    let (scene, mut pictures) = (scene(), stills());
    let (mut canvas, mut pool) = (canvas(&scene), FramePool::default());
    canvas.draw(&scene, &pictures);
    let copy = canvas.copy(&mut pool);
    assert_eq!(*copy, canvas.frame);
    pictures.show(1, Size::new(128, 72), 7);
    canvas.draw(&scene, &pictures);
    assert_ne!(*copy, canvas.frame);
    assert_eq!(luma(&copy, 4, 4), 100);
}

/// One tile that is large enough for text.
fn labelled(name: &str) -> (Scene, Stills) {
    let mut tile = tile(1, Rect::new(0, 0, 320, 180));
    tile.name = name.into();
    let mut pictures = Stills::default();
    pictures.show(1, Size::new(320, 180), 100);
    (
        Scene {
            canvas: Size::new(320, 180),
            background: [0; 3],
            tiles: vec![tile],
            overflow: 0,
            labels: true,
            transition: crate::layout::Transition::default(),
            overlays: Vec::new(),
        },
        pictures,
    )
}

#[test]
fn name_muted_sign_and_badge_come_and_go_without_residue() {
    let (mut scene, pictures) = labelled("Ann");
    scene.labels = false;
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    let bare = canvas.frame.clone();
    let changes: [fn(&mut Scene, bool); 4] = [
        |scene, on| scene.labels = on,
        |scene, on| scene.tiles[0].muted = on,
        |scene, on| scene.overflow = if on { 12 } else { 0 },
        |scene, on| scene.tiles[0].speaking = on,
    ];
    for change in changes {
        change(&mut scene, true);
        assert_eq!(canvas.draw(&scene, &pictures), Damage { tiles: 1, overlays: 0, everything: false });
        assert_ne!(canvas.frame, bare);
        assert_eq!(canvas.frame, fresh(&scene, &pictures));
        change(&mut scene, false);
        canvas.draw(&scene, &pictures);
        assert_eq!(canvas.frame, bare);
    }
}

#[test]
fn a_translucent_plate_over_the_bars_does_not_darken_with_every_picture() {
    let (mut scene, mut pictures) = labelled("Somebody with a name");
    scene.tiles[0].fit = Fit::Contain;
    pictures.show(1, Size::new(90, 180), 100);
    let mut canvas = canvas(&scene);
    for _ in 0..5 {
        pictures.show(1, Size::new(90, 180), 100);
        assert_eq!(canvas.draw(&scene, &pictures).tiles, 1);
        assert_eq!(canvas.frame, fresh(&scene, &pictures));
    }
}

#[test]
fn tiles_too_small_for_text_or_initials_are_drawn_without() {
    for (width, height) in [(2, 2), (2, 90), (90, 2), (16, 16), (64, 48), (40, 200)] {
        let (mut scene, mut pictures) = labelled("Ann Bee");
        (scene.tiles[0].rect, scene.tiles[0].muted, scene.tiles[0].speaking) = (Rect::new(0, 0, width, height), true, true);
        scene.overflow = 4_000_000_000;
        assert_eq!(canvas(&scene).draw(&scene, &pictures).tiles, 1);
        pictures.0.clear();
        assert_eq!(canvas(&scene).draw(&scene, &pictures).tiles, 1);
    }
}

#[test]
fn canvases_that_share_pictures_show_what_each_would_show_alone() {
    let (scene, mut pictures) = (scene(), stills());
    let alone = fresh(&scene, &pictures);
    let scaled = Arc::new(crate::draw::Scaled::default());
    for picture in pictures.0.values_mut().take(1) {
        picture.scaled = Some(Arc::clone(&scaled));
    }
    let (mut one, mut other) = (canvas(&scene), canvas(&scene));
    for shade in [100, 70, 30] {
        pictures.show(1, Size::new(128, 72), shade);
        one.draw(&scene, &pictures);
        other.draw(&scene, &pictures);
        assert_eq!(one.frame, other.frame);
        assert_eq!(luma(&one.frame, 4, 4), shade);
    }
    pictures.show(1, Size::new(128, 72), 100);
    one.draw(&scene, &pictures);
    assert_eq!(one.frame, alone);
}

#[test]
fn a_tile_on_its_way_is_as_opaque_as_it_says_however_often_it_is_drawn() {
    let (mut scene, mut pictures) = (scene(), stills());
    let mut canvas = canvas(&scene);
    canvas.draw(&scene, &pictures);
    let behind = Yuv::from_rgb(scene.background).y;
    for opacity in [64, 64, 128, 200] {
        (scene.tiles[0].opacity, scene.tiles[0].moving) = (opacity, true);
        pictures.show(1, Size::new(128, 72), 100);
        canvas.draw(&scene, &pictures);
        let expected = (100 * u32::from(opacity) + u32::from(behind) * (255 - u32::from(opacity)) + 127) / 255;
        assert_eq!(u32::from(luma(&canvas.frame, 4, 4)), expected);
        assert_eq!(canvas.frame, fresh(&scene, &pictures));
    }
    (scene.tiles[0].opacity, scene.tiles[0].moving) = (255, false);
    canvas.draw(&scene, &pictures);
    assert_eq!(canvas.frame, fresh(&scene, &pictures));
}

fn overlays(scene: &mut Scene, json: &str) {
    let layout: crate::Layout = serde_json::from_str(&format!(r#"{{"overlays":{json}}}"#)).unwrap();
    assert_eq!(layout.faults(), []);
    scene.overlays = layout.overlays.iter().map(|overlay| overlay.lay(scene.canvas).unwrap()).collect();
}

/// Two tiles of 160×90 one above the other, on a canvas of 320×180.
fn larger() -> Scene {
    let tiles = vec![tile(1, Rect::new(0, 0, 160, 90)), tile(2, Rect::new(0, 90, 160, 90))];
    Scene { canvas: Size::new(320, 180), tiles, ..scene() }
}

fn moment(ms: u64) -> Moment {
    Moment { ms, unix_s: 1_700_000_000 + ms as i64 / 1000 }
}

#[test]
fn what_lies_over_the_tiles_is_as_a_new_canvas_would_have_it_after_any_picture_and_any_time() {
    let (mut scene, mut pictures) = (larger(), stills());
    overlays(
        &mut scene,
        r#"[{"type":"text","text":"Hello","x":0.1,"y":0.4,"size":0.1},{"type":"clock","seconds":true,"size":0.15,"corner":"top_left"},
            {"type":"ticker","text":"What there is to say","size":0.1},{"type":"lower_third","text":"Ann","subtitle":"Chair","y":0.5,"size":0.12}]"#,
    );
    let mut canvas = canvas(&scene);
    for step in 0..40u64 {
        if step % 3 == 0 {
            pictures.show(1 + step / 3 % 2, Size::new(128, 72), 60 + step as u8);
        }
        let now = moment(step * 130);
        canvas.draw_at(&scene, &pictures, now);
        let mut fresh = Canvas::with_fonts(scene.canvas, Fonts::bundled());
        fresh.draw_at(&scene, &pictures, now);
        assert!(canvas.frame == fresh.frame, "step {step}");
    }
}

#[test]
fn texts_cost_nothing_after_the_first_time_clocks_once_a_second_and_tickers_every_tick() {
    let (mut scene, pictures) = (larger(), stills());
    let mut costs = |json: &str| {
        overlays(&mut scene, json);
        let mut canvas = canvas(&scene);
        canvas.draw_at(&scene, &pictures, moment(0));
        let damage = |ms| canvas.draw_at(&scene, &pictures, moment(ms));
        [100, 200, 1000, 1100].map(damage)
    };
    let nothing = Damage::default();
    assert_eq!(costs(r#"[{"text":"Hello"}]"#), [nothing; 4]);
    let ticks = Damage { overlays: 1, ..nothing };
    assert_eq!(costs(r#"[{"type":"ticker","text":"News"}]"#), [ticks; 4]);
    let second = Damage { tiles: 1, overlays: 1, ..nothing };
    assert_eq!(costs(r#"[{"type":"clock","seconds":true,"corner":"top_left"}]"#), [nothing, nothing, second, nothing]);
    assert_eq!(costs(r#"[{"type":"clock","corner":"top_left"}]"#), [nothing; 4]);
}

#[test]
fn a_background_shows_between_the_tiles_and_a_watermark_over_them() {
    let (mut scene, mut pictures) = (larger(), stills());
    let red = crate::image::tests::RED;
    overlays(
        &mut scene,
        &format!(r#"[{{"type":"background","image":"{red}"}},{{"type":"watermark","image":"{red}","corner":"top_left","width":0.1}}]"#),
    );
    let mut canvas = canvas(&scene);
    for shade in [100, 120] {
        pictures.show(1, Size::new(128, 72), shade);
        canvas.draw(&scene, &pictures);
        assert_eq!(luma(&canvas.frame, 300, 90), 81);
        assert_eq!(luma(&canvas.frame, 100, 40), shade);
        let marked = (u32::from(shade) + 81) / 2;
        assert!(u32::from(luma(&canvas.frame, 10, 10)).abs_diff(marked) <= 2, "{}", luma(&canvas.frame, 10, 10));
        assert_eq!(canvas.frame, fresh(&scene, &pictures));
    }
}
