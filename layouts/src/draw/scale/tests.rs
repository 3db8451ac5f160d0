use super::*;
use crate::layout::Kind;
use crate::{Cast, Layout, Person, Source, SourceId};
use proptest::prelude::*;
use std::sync::Arc;

/// Luma falls from left to right and from top to bottom; each chroma plane has a gradient of its own.
fn gradient(size: Size) -> I420Frame {
    let mut frame = I420Frame::black(size);
    let chroma = size.chroma();
    let planes = frame.planes_mut();
    let part = |at: usize, of: u32, range: f64| at as f64 / f64::from(of.max(2) - 1) * range;
    for (at, value) in planes.y.iter_mut().enumerate() {
        let (x, y) = (at % size.width as usize, at / size.width as usize);
        *value = (20.0 + part(x, size.width, 140.0) + part(y, size.height, 60.0)) as u8;
    }
    for (at, value) in planes.u.iter_mut().enumerate() {
        *value = (40.0 + part(at % chroma.width as usize, chroma.width, 160.0)) as u8;
    }
    for (at, value) in planes.v.iter_mut().enumerate() {
        *value = (40.0 + part(at / chroma.width as usize, chroma.height, 160.0)) as u8;
    }
    frame
}

fn picture(frame: I420Frame) -> Picture {
    Picture { frame: Arc::new(frame), sequence: 1, quarter_turns: 0, flip: false, scaled: None }
}

#[test]
fn pictures_near_an_exact_ratio_take_its_kernel() {
    let ratio = |source: (u32, u32), target: (u32, u32)| Cut::covering(Size::new(source.0, source.1), Size::new(target.0, target.1)).ratio;
    assert_eq!(ratio((640, 360), (640, 360)), Some(Ratio::Copy));
    assert_eq!(ratio((640, 360), (638, 358)), Some(Ratio::Copy));
    assert_eq!(ratio((1280, 720), (638, 358)), Some(Ratio::Half));
    assert_eq!(ratio((640, 360), (426, 240)), Some(Ratio::TwoThirds));
    assert_eq!(ratio((640, 360), (424, 236)), Some(Ratio::TwoThirds));
    assert_eq!(ratio((1280, 720), (424, 238)), Some(Ratio::Third));
    assert_eq!(ratio((640, 360), (316, 176)), Some(Ratio::Half));
    assert_eq!(ratio((640, 360), (160, 90)), Some(Ratio::Quarter));
    assert_eq!(ratio((640, 360), (1280, 720)), Some(Ratio::Double));
    assert_eq!(ratio((640, 480), (320, 180)), Some(Ratio::Half));
    assert_eq!(ratio((321, 241), (160, 120)), Some(Ratio::Half));
    assert_eq!(ratio((640, 360), (252, 140)), Some(Ratio::TwoFifths));
    assert_eq!(ratio((320, 180), (256, 144)), None);
}

/// With the gap that layouts have where none is chosen: most of what people see is scaled by a kernel.
#[test]
fn in_usual_grids_usual_cameras_take_a_kernel() {
    let interpolated = |canvas: (u32, u32), source: (u32, u32), people: std::ops::RangeInclusive<u64>| {
        let source = Size::new(source.0, source.1);
        let person = |id| Person { camera: Some(Source { id: SourceId(id), size: Some(source) }), ..Person::plain(id) };
        people
            .filter(|&count| {
                let cast = Cast { people: (0..count).map(person).collect(), ..Cast::default() };
                let layout = Layout { kind: Kind::Grid, max_tiles: 49, ..Layout::default() };
                let tile = layout.arrange(&cast, Size::new(canvas.0, canvas.1), [0; 3]).tiles[0].rect.size();
                Cut::covering(source, tile).ratio.is_none()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(interpolated((1280, 720), (640, 360), 2..=36), [0; 0]);
    // From 17 to 25 people tiles are four fifths of such a picture, which no kernel has, and two thirds would be a sixth less of it.
    assert_eq!(interpolated((1280, 720), (320, 180), 10..=36), (17..=25).collect::<Vec<_>>());
    assert_eq!(interpolated((1280, 720), (1280, 720), 2..=16), [0; 0]);
    assert_eq!(interpolated((1920, 1080), (1280, 720), 5..=9), [0; 0]);
    assert_eq!(interpolated((1920, 1080), (640, 360), 5..=9), [0; 0]);
}

#[test]
fn containing_keeps_the_ratio_and_covering_fills() {
    let rect = Rect::new(100, 50, 640, 360);
    assert_eq!(target(Size::new(480, 640), rect, Fit::Contain), Rect::new(284, 50, 270, 360));
    assert_eq!(target(Size::new(1366, 768), rect, Fit::Contain), rect);
    assert_eq!(target(Size::new(480, 640), rect, Fit::Cover), rect);
    assert_eq!(target(Size::new(1, 5000), rect, Fit::Contain).size(), Size::new(2, 360));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_picture_that_is_shown_whole_keeps_its_ratio_in_the_middle_of_any_tile(
        (width, height) in (2u32..4000, 2u32..4000),
        (x, y, tile_width, tile_height) in (0u32..50, 0u32..50, 8u32..900, 8u32..900),
    ) {
        let (picture, tile) = (Size::new(width, height), Rect::new(2 * x, 2 * y, 2 * tile_width, 2 * tile_height));
        let shown = target(picture, tile, Fit::Contain);
        prop_assert!(shown.x >= tile.x && shown.y >= tile.y && shown.right() <= tile.right() && shown.bottom() <= tile.bottom());
        prop_assert_eq!((shown.x | shown.y | shown.width | shown.height) % 2, 0);
        // One side is the tile's; the other is the picture's to the nearest even pixel, and never none.
        let other = |side: u32, of: u32, to: u32| f64::from(side) * f64::from(to) / f64::from(of);
        let near = |shown: u32, wanted: f64| shown == 2 || (f64::from(shown) - wanted).abs() <= 1.0;
        let by_width = shown.width == tile.width && near(shown.height, other(tile.width, width, height));
        let by_height = shown.height == tile.height && near(shown.width, other(tile.height, height, width));
        prop_assert!(by_width || by_height, "{} in {} is {:?}", picture, tile.size(), shown);
        let left = [tile.width - shown.width, tile.height - shown.height];
        prop_assert!((shown.x - tile.x).abs_diff(left[0] / 2) <= 1 && (shown.y - tile.y).abs_diff(left[1] / 2) <= 1);
    }

    #[test]
    fn any_picture_lands_in_any_target_the_right_way_up_and_nowhere_else(
        (width, height) in (2u32..300, 2u32..300),
        (x, y) in (0u32..20, 0u32..20),
        (target_width, target_height) in (1u32..100, 1u32..100),
        quarter_turns in 0u8..4,
        flip in any::<bool>(),
    ) {
        let source = gradient(Size::new(width, height));
        let target = Rect::new(2 * x, 2 * y, 2 * target_width, 2 * target_height);
        let mut canvas = I420Frame::black(Size::new(256, 256));
        let picture = Picture { quarter_turns, flip, ..picture(source) };
        Scaler::default().draw(&picture, &mut canvas, target);
        let planes = canvas.planes();
        for y in 0..256u32 {
            for x in 0..256u32 {
                let inside = (target.x..target.right()).contains(&x) && (target.y..target.bottom()).contains(&y);
                let value = planes.y[(y * 256 + x) as usize];
                prop_assert_eq!(inside, value != 16, "luma {} at {},{}", value, x, y);
                let chroma = (planes.u[(y / 2 * 128 + x / 2) as usize], planes.v[(y / 2 * 128 + x / 2) as usize]);
                prop_assert!(inside || chroma == (128, 128));
                prop_assert!(!inside || (chroma.0 >= 39 && chroma.1 >= 39 && chroma.0 <= 201 && chroma.1 <= 201));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_seen_stands_where_the_cut_says(
        (width, height) in (16u32..1300, 16u32..300),
        (target_width, target_height) in (8u32..200, 8u32..100),
    ) {
        let (source, target) = (Size::new(width, height), Size::new(2 * target_width, 2 * target_height));
        let cut = Cut::covering(source, target);
        prop_assert!(cut.x >= 0.0 && cut.y >= 0.0);
        prop_assert!(cut.x + cut.width <= f64::from(width) + 0.001 && cut.y + cut.height <= f64::from(height) + 0.001);
        let from = gradient(source);
        let mut canvas = I420Frame::black(target);
        Scaler::default().draw(&picture(from), &mut canvas, Rect::new(0, 0, target.width, target.height));
        // A slope changes nothing by being averaged, except where the picture ends.
        let slope = |at: f64, of: u32, range: f64| at / f64::from(of - 1) * range;
        for y in (2..target.height - 2).step_by(3) {
            for x in (2..target.width - 2).step_by(3) {
                let at = |start: f64, length: f64, index: u32, of: u32| start + (f64::from(index) + 0.5) * length / f64::from(of) - 0.5;
                let (source_x, source_y) = (at(cut.x, cut.width, x, target.width), at(cut.y, cut.height, y, target.height));
                let expected = 20.0 + slope(source_x, width, 140.0) + slope(source_y, height, 60.0);
                let actual = f64::from(canvas.planes().y[(y * target.width + x) as usize]);
                // Half a source pixel either way, and the rounding of the slope and of up to three passes.
                let tolerance = 3.0 + 0.5 * (140.0 / f64::from(width - 1) + 60.0 / f64::from(height - 1));
                prop_assert!((actual - expected).abs() <= tolerance, "{} for {} at {},{}", actual, expected, x, y);
            }
        }
    }
}

#[test]
fn a_marked_picture_stands_upright_after_every_turn_and_flip() {
    // Left to right bright to dark in the first row of the upright picture: found again from each turned version.
    for size in [Size::new(64, 36), Size::new(61, 35)] {
        let upright = gradient(size);
        for quarter_turns in 0..4u8 {
            for flip in [false, true] {
                // What a camera would have sent so that mirroring and then turning clockwise brings `upright` back.
                let swapped = quarter_turns % 2 == 1;
                let sent_size = if swapped { Size::new(size.height, size.width) } else { size };
                let mut sent = I420Frame::black(sent_size);
                let middle = undo_turn(&upright, quarter_turns);
                if flip {
                    mirror(&middle, &mut sent);
                } else {
                    sent = middle;
                }
                let even = size.even();
                let mut canvas = I420Frame::black(even);
                let rect = Rect::new(0, 0, even.width, even.height);
                Scaler::default().draw(&Picture { quarter_turns, flip, ..picture(sent) }, &mut canvas, rect);
                let worst = canvas.planes().y.iter().enumerate().map(|(at, &value)| {
                    let (x, y) = (at % even.width as usize, at / even.width as usize);
                    value.abs_diff(upright.planes().y[y * size.width as usize + x])
                });
                assert!(worst.max().unwrap() <= 6, "{size} turned {quarter_turns} flip {flip}");
            }
        }
    }
}

fn undo_turn(upright: &I420Frame, quarter_turns: u8) -> I420Frame {
    let turns = (4 - quarter_turns % 4) % 4;
    let size = upright.size();
    let turned = if turns % 2 == 1 { Size::new(size.height, size.width) } else { size };
    let mut out = I420Frame::black(turned);
    map(upright, &mut out, |x, y, width, height| match turns {
        0 => (x, y),
        1 => (y, height - 1 - x),
        2 => (width - 1 - x, height - 1 - y),
        _ => (width - 1 - y, x),
    });
    out
}

fn mirror(from: &I420Frame, out: &mut I420Frame) {
    map(from, out, |x, y, width, _| (width - 1 - x, y));
}

/// Sets every pixel of `out` from that pixel of `from` which `place` names (given x, y and the size of `from`).
fn map(from: &I420Frame, out: &mut I420Frame, place: impl Fn(usize, usize, usize, usize) -> (usize, usize)) {
    let (source, size) = (from.planes(), from.size());
    let (sizes, out_size) = ([size, size.chroma(), size.chroma()], out.size());
    let out_widths = [out_size.width, out_size.chroma().width, out_size.chroma().width];
    let planes = out.planes_mut();
    for (index, (plane, source)) in [planes.y, planes.u, planes.v].into_iter().zip([source.y, source.u, source.v]).enumerate() {
        let (width, height) = (sizes[index].width as usize, sizes[index].height as usize);
        for (at, value) in plane.iter_mut().enumerate() {
            let out_width = out_widths[index] as usize;
            let (x, y) = place(at % out_width, at / out_width, width, height);
            *value = source[y * width + x];
        }
    }
}
