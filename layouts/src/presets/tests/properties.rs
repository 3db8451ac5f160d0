//! What holds for every layout, whoever is there and whatever the canvas is.

use super::*;

fn any_person() -> impl Strategy<Value = Person> {
    let size = prop::option::of((1u32..5000, 1u32..5000).prop_map(|(width, height)| Size::new(width, height)));
    (any::<[bool; 4]>(), size, 0u64..9, "[a-zA-Z]{0,4}").prop_map(|([camera, screen, muted, pinned], size, last_spoke, name)| Person {
        id: PersonId(0),
        key: String::new(),
        identity: None,
        name,
        role: None,
        camera: camera.then_some(Source { id: SourceId(0), size }),
        screen: (screen && muted).then_some(Source { id: SourceId(0), size }),
        muted,
        pinned: pinned && muted,
        last_spoke,
    })
}

prop_compose! {
    fn any_cast()(mut people in prop::collection::vec(any_person(), 0..60), active in 0u64..60, previous in 0u64..60) -> Cast {
        for (person, id) in people.iter_mut().zip(0..) {
            person.id = PersonId(id);
            person.key = id.to_string();
            person.role = (id % 7 == 0).then(|| "host".into());
            if let Some(camera) = &mut person.camera { camera.id = SourceId(2 * id) }
            if let Some(screen) = &mut person.screen { screen.id = SourceId(2 * id + 1) }
        }
        Cast { people, active_speaker: Some(PersonId(active)), previous_speaker: Some(PersonId(previous)) }
    }
}

/// Up to twelve cells of a grid of 4 × 3, for all kinds of people.
fn any_regions() -> impl Strategy<Value = Vec<Region>> {
    let seat = prop::sample::select(vec![
        For::Any,
        For::Any,
        For::ActiveSpeaker,
        For::PreviousSpeaker,
        For::Screen,
        For::Pinned,
        For::Role("host".into()),
        For::Participant("3".into()),
    ]);
    let cell = |index: u32, seat, tiles, min_fps| Region {
        x: Fraction::new(index % 4, 4),
        y: Fraction::new(index / 4, 3),
        width: Fraction::new(1, 4),
        height: Fraction::new(1, 3),
        seat,
        tiles,
        min_fps,
        ..Region::default()
    };
    let cells = prop::collection::vec((seat, 1u32..5, prop::sample::select(vec![0u32, 0, 25]), any::<bool>()), 12);
    cells.prop_map(move |cells| {
        let chosen = cells.into_iter().zip(0..).filter(|((_, _, _, used), _)| *used);
        chosen.map(|((seat, tiles, min_fps, _), index)| cell(index, seat, tiles, min_fps)).collect()
    })
}

prop_compose! {
    fn any_layout()(
        kind in prop::sample::select(vec![Kind::Auto, Kind::Grid, Kind::Speaker, Kind::Presentation, Kind::SideBySide, Kind::Pip, Kind::Single, Kind::Custom]),
        corner in prop::sample::select(vec![Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight]),
        regions in any_regions(),
        fit in prop::sample::select(vec![Fit::Auto, Fit::Cover, Fit::Contain]),
        order in prop::sample::select(vec![Order::Joined, Order::Name, Order::Activity]),
        strip in prop::sample::select(vec![Strip::Bottom, Strip::Top, Strip::Left, Strip::Right]),
        max_tiles in prop_oneof![0u32..60, Just(u32::MAX)],
        gap in prop_oneof![0u32..40, Just(u32::MAX)],
    ) -> Layout {
        Layout { kind, fit, order, strip, corner, max_tiles, gap, regions, ..Layout::default() }
    }
}

fn any_canvas() -> impl Strategy<Value = Size> {
    let usual = prop::sample::select(vec![HD, Size::new(720, 1280), Size::new(1920, 1080), Size::new(640, 360), Size::new(1024, 768)]);
    prop_oneof![
        usual,
        (2u32..4097, 2u32..4097).prop_map(|(width, height)| Size::new(width, height)),
        (2u32..40, 2u32..40).prop_map(|(width, height)| Size::new(width, height))
    ]
}

/// Whether a seat could be that of a region, whoever else is there.
fn fits(Seat { person, kind }: &Seat<'_>, wanted: &For) -> bool {
    let camera = *kind == TileSource::Camera;
    match wanted {
        For::Any => true,
        For::Image(_) => false,
        For::Screen => !camera,
        For::ActiveSpeaker | For::PreviousSpeaker => camera,
        For::Pinned => camera && person.pinned,
        For::Role(role) => camera && person.role.as_ref() == Some(role),
        For::Participant(name) => camera && person.is_called(name),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn tiles_are_even_inside_and_apart_and_everybody_is_seen_or_counted(layout in any_layout(), cast in any_cast(), canvas in any_canvas()) {
        let scene = layout.arrange(&cast, canvas, BLACK);
        prop_assert_eq!(scene.canvas, canvas.even());
        let most = if layout.kind == Kind::Custom { MAX_TILES } else { MAX_TILES.min(layout.max_tiles.max(1) as usize) };
        prop_assert!(scene.tiles.len() <= most || matches!(layout.kind, Kind::Pip | Kind::SideBySide));
        for (index, tile) in scene.tiles.iter().enumerate() {
            let rect = tile.rect;
            prop_assert!(rect.inside(scene.canvas), "{:?} on {}", rect, scene.canvas);
            prop_assert!(rect.width >= 2 && rect.height >= 2, "{:?}", rect);
            prop_assert!((rect.x | rect.y | rect.width | rect.height) % 2 == 0, "{:?}", rect);
            prop_assert_ne!(tile.fit, Fit::Auto);
            for other in &scene.tiles[index + 1..] {
                prop_assert!(layout.kind == Kind::Pip || !rect.overlaps(other.rect), "{:?} {:?}", rect, other.rect);
                prop_assert!((tile.person, tile.kind) != (other.person, other.kind));
            }
        }
        let unseen = cast.people.iter().filter(|person| scene.tiles.iter().all(|tile| tile.person != person.id)).count();
        let unseen = if is_for_all(&layout, &cast) { unseen } else { 0 };
        prop_assert_eq!(scene.overflow as usize, unseen);
        prop_assert!(layout.kind == Kind::Custom || scene.tiles.is_empty() == cast.people.is_empty());
    }

    #[test]
    fn a_seat_is_empty_only_when_everybody_who_fits_it_is_seen(regions in any_regions(), cast in any_cast(), order in prop::sample::select(vec![Order::Joined, Order::Name, Order::Activity])) {
        let layout = Layout { kind: Kind::Custom, order, regions, ..Layout::default() };
        let regions: Vec<&Region> = layout.regions.iter().collect();
        let filled = custom::fill(&regions, &cast, order);
        let seen = |seat: &Seat<'_>| filled.iter().flatten().any(|filled| filled == seat);
        for (region, seats) in regions.iter().zip(&filled) {
            let short = seats.len() < region.tiles as usize;
            prop_assert!(seats.len() <= region.tiles as usize);
            let left = seats::all(&cast, order).into_iter().find(|seat| fits(seat, &region.seat) && !seen(seat));
            prop_assert!(!short || left.is_none(), "{:?} has room for {:?}", region.seat, left);
        }
    }

    #[test]
    fn a_change_of_speaker_moves_at_most_those_who_change_places(cast in any_cast(), active in 0u64..60, strip in prop::sample::select(vec![Strip::Bottom, Strip::Right]), kind in prop::sample::select(vec![Kind::Speaker, Kind::Presentation])) {
        let layout = Layout { kind, strip, max_tiles: 49, ..Layout::default() };
        let mut cast = Cast { people: cast.people.into_iter().take(6).map(|person| Person { screen: None, ..person }).collect(), ..cast };
        let before = arrange(&layout, &cast);
        cast.active_speaker = Some(PersonId(active % 6));
        let after = arrange(&layout, &cast);
        let places = |scene: &Scene| rects(scene).into_iter().map(|(person, kind, rect)| ((person, kind == TileSource::Screen), rect)).collect::<std::collections::BTreeMap<_, _>>();
        let (before, after) = (places(&before), places(&after));
        prop_assert_eq!(before.len(), after.len());
        let moved = before.iter().filter(|(who, rect)| after.get(who) != Some(rect)).count();
        prop_assert!(moved <= 3, "{} moved", moved);
    }

    #[test]
    fn muting_and_dropping_cameras_and_speaking_never_move_a_grid(cast in any_cast(), layout in any_layout(), changes in prop::collection::vec(any::<[bool; 2]>(), 60), active in 0u64..60) {
        let layout = Layout { kind: Kind::Grid, order: Order::Joined, ..layout };
        let mut changed = cast.clone();
        for (person, [muted, camera_off]) in changed.people.iter_mut().zip(changes) {
            person.muted ^= muted;
            if camera_off { person.camera = None }
        }
        changed.active_speaker = Some(PersonId(active));
        prop_assert_eq!(rects(&arrange(&layout, &cast)), rects(&arrange(&layout, &changed)));
    }
}
