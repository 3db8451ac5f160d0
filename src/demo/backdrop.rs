//! Draws the rooms behind people.

use super::brush::{Brush, Fill, shade};
use super::look::{Look, Rgb, Room};
use super::paint::{ALL, SIZE, blank};
use mixdown_codecs::I420Frame;
use tiny_skia::{Pixmap, PixmapPaint, Transform};

/// The room, a little out of focus.
pub(super) fn room(look: &Look) -> I420Frame {
    let (w, h) = (SIZE.width as f32, SIZE.height as f32);
    let wall = look.wall;
    let mut b = Brush::new(ALL.0, ALL.1);
    b.rect((0.0, 0.0), (w, h), 0.0, Fill::Down((0.0, 0.0), shade(wall, 0.12), (w, h), shade(wall, -0.18)));
    match look.room {
        Room::Shelf => shelf(&mut b, wall),
        Room::Window => window(&mut b),
        Room::Picture => picture(&mut b),
        Room::Plant => {
            plant(&mut b, 96.0);
            b.ellipse(
                (540.0, 90.0),
                (52.0, 52.0),
                Fill::Round { centre: (526.0, 76.0), radius: 60.0, inside: (255, 238, 196), outside: (232, 190, 120) },
            );
        }
    }
    b.ellipse(
        (320.0, 150.0),
        (300.0, 240.0),
        Fill::Glow { centre: (320.0, 150.0), radius: 260.0, colour: (255, 250, 236), strength: 0.22 },
    );
    let sharp = b.into_pixmap().unwrap_or_else(blank);
    let mut frame = I420Frame::black(SIZE);
    let full = out_of_focus(&sharp);
    opaque(&full, &mut frame);
    frame
}

fn shelf(b: &mut Brush, wall: Rgb) {
    let wood = (140, 96, 60);
    b.rect((20.0, 24.0), (180.0, 220.0), 4.0, Fill::Flat(shade(wall, -0.32), 1.0));
    let books: [Rgb; 7] = [(176, 66, 60), (226, 178, 84), (70, 112, 122), (232, 222, 204), (112, 72, 108), (90, 128, 84), (206, 120, 70)];
    for row in 0..3 {
        let (y, mut x) = (28.0 + 72.0 * row as f32, 26.0);
        for i in 0..9_usize {
            let (bw, bh) = (12.0 + ((i * 5 + row * 3) % 4) as f32 * 3.0, 46.0 + ((i * 7 + row) % 5) as f32 * 3.5);
            if x + bw > 194.0 {
                break;
            }
            b.rect((x, y + 64.0 - bh), (bw, bh), 1.5, Fill::Flat(books[(i + row * 2) % 7], 1.0));
            x += bw + 2.0;
        }
        b.rect((16.0, y + 64.0), (188.0, 8.0), 2.0, Fill::Flat(wood, 1.0));
    }
    // A lamp on the other side.
    b.shape("M 500 150 L 560 150 L 586 214 L 474 214", Fill::Down((500.0, 150.0), (255, 240, 196), (560.0, 214.0), (250, 208, 128)));
    b.rect((526.0, 214.0), (8.0, 110.0), 2.0, Fill::Flat(shade(wood, -0.2), 1.0));
    b.ellipse((530.0, 200.0), (150.0, 150.0), Fill::Glow { centre: (530.0, 200.0), radius: 150.0, colour: (255, 232, 170), strength: 0.5 });
}

fn window(b: &mut Brush) {
    b.rect((424.0, 22.0), (184.0, 208.0), 4.0, Fill::Flat((246, 244, 238), 1.0));
    b.rect((434.0, 32.0), (164.0, 188.0), 2.0, Fill::Down((500.0, 32.0), (150, 206, 240), (500.0, 220.0), (226, 240, 236)));
    b.shape("M 434 190 C 470 150 500 196 530 168 C 556 146 580 170 598 160 L 598 220 L 434 220", Fill::Flat((126, 172, 110), 1.0));
    b.ellipse((480.0, 76.0), (30.0, 13.0), Fill::Flat((255, 255, 255), 0.85)).ellipse(
        (502.0, 84.0),
        (26.0, 11.0),
        Fill::Flat((255, 255, 255), 0.8),
    );
    b.rect((512.0, 32.0), (8.0, 188.0), 0.0, Fill::Flat((246, 244, 238), 1.0)).rect(
        (434.0, 120.0),
        (164.0, 7.0),
        0.0,
        Fill::Flat((246, 244, 238), 1.0),
    );
    plant(b, 92.0);
}

fn picture(b: &mut Brush) {
    b.rect((446.0, 40.0), (150.0, 116.0), 3.0, Fill::Flat((244, 226, 190), 1.0));
    b.rect((454.0, 48.0), (134.0, 100.0), 1.0, Fill::Down((454.0, 48.0), (250, 158, 112), (588.0, 148.0), (120, 80, 150)));
    b.ellipse((540.0, 88.0), (20.0, 20.0), Fill::Flat((255, 232, 170), 1.0));
    b.shape("M 454 148 L 454 126 C 480 100 506 118 522 128 C 548 108 570 118 588 132 L 588 148", Fill::Flat((70, 56, 110), 1.0));
    b.rect((36.0, 196.0), (150.0, 9.0), 2.0, Fill::Flat((236, 216, 186), 1.0));
    b.rect((52.0, 142.0), (30.0, 54.0), 4.0, Fill::Flat((92, 176, 172), 1.0));
    b.ellipse((118.0, 176.0), (22.0, 20.0), Fill::Flat((232, 128, 96), 1.0));
    b.rect((150.0, 152.0), (12.0, 44.0), 1.0, Fill::Flat((244, 206, 96), 1.0)).rect(
        (163.0, 146.0),
        (11.0, 50.0),
        1.0,
        Fill::Flat((220, 92, 104), 1.0),
    );
}

fn plant(b: &mut Brush, x: f32) {
    let leaf = |tip: (f32, f32), side: f32| {
        let (bx, by) = (x, 262.0);
        let (mx, my) = ((bx + tip.0) / 2.0, (by + tip.1) / 2.0);
        format!(
            "M {bx} {by} C {} {} {} {} {} {} C {} {} {} {} {bx} {by}",
            mx - 20.0 * side,
            my - 10.0,
            tip.0 - 14.0 * side,
            tip.1 - 6.0,
            tip.0,
            tip.1,
            tip.0 + 6.0 * side,
            tip.1 + 20.0,
            mx + 16.0 * side,
            my + 16.0
        )
    };
    let tips = [(-66.0, 190.0), (-40.0, 140.0), (-4.0, 118.0), (38.0, 136.0), (70.0, 184.0), (-24.0, 170.0), (26.0, 172.0)];
    for (i, (dx, y)) in tips.into_iter().enumerate() {
        let green = [(74, 132, 84), (96, 154, 92), (58, 112, 78)][i % 3];
        b.shape(&leaf((x + dx, y), if dx < 0.0 { 1.0 } else { -1.0 }), Fill::Flat(green, 1.0));
    }
    b.shape(
        &format!("M {} 256 L {} 256 L {} 322 L {} 322", x - 34.0, x + 34.0, x + 25.0, x - 25.0),
        Fill::Down((x - 30.0, 256.0), (226, 142, 100), (x + 30.0, 322.0), (178, 96, 66)),
    );
}

/// Down to a sixth and up again with bicubic smoothing: a cheap, wide and even blur.
fn out_of_focus(sharp: &Pixmap) -> Pixmap {
    let smooth = PixmapPaint { quality: tiny_skia::FilterQuality::Bicubic, ..PixmapPaint::default() };
    let mut current = sharp.clone();
    for scale in [0.5, 0.5, 2.0, 2.0] {
        let (w, h) = ((current.width() as f32 * scale) as u32, (current.height() as f32 * scale) as u32);
        let mut next = Pixmap::new(w.max(1), h.max(1)).unwrap_or_else(blank);
        next.draw_pixmap(0, 0, current.as_ref(), &smooth, Transform::from_scale(scale, scale), None);
        current = next;
    }
    current
}

fn opaque(pixmap: &Pixmap, frame: &mut I420Frame) {
    let width = frame.size().width as usize;
    let planes = frame.planes_mut();
    for (i, pixel) in pixmap.pixels().iter().enumerate().take(planes.y.len()) {
        let (a, [r, g, b]) = (i32::from(pixel.alpha()).max(1), [pixel.red(), pixel.green(), pixel.blue()].map(i32::from));
        let [r, g, b] = [r, g, b].map(|c| (c * 255 / a).min(255));
        planes.y[i] = (16 + ((66 * r + 129 * g + 25 * b + 128) >> 8)).clamp(0, 255) as u8;
        let (x, y) = (i % width, i / width);
        if x % 2 == 0 && y % 2 == 0 {
            let at = y / 2 * planes.uv_stride + x / 2;
            planes.u[at] = (128 + ((112 * b - 38 * r - 74 * g + 128) >> 8)).clamp(0, 255) as u8;
            planes.v[at] = (128 + ((112 * r - 94 * g - 18 * b + 128) >> 8)).clamp(0, 255) as u8;
        }
    }
}
