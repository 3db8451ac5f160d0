//! Draws the layers of one person: body, head, hair, and the small ones that move: mouths, eyes, brows. All coordinates are those of a 640×360 picture with the face at (320, 160).

use super::backdrop::room;
use super::brush::{Brush, Fill, mix, shade};
use super::layer::Layer;
use super::look::{Clothes, Hair, Look, Rgb};
use mixdown_codecs::{I420Frame, Size};
use tiny_skia::Pixmap;

pub const SIZE: Size = Size::new(640, 360);
/// Steps of mouth opening (0: closed, smiling) and of lips from wide to round.
pub const MOUTH_OPENINGS: usize = 7;
pub const MOUTH_SHAPES: usize = 3;
/// Steps of lids from open to shut.
pub const LIDS: usize = 4;

/// Everything that moves by itself.
pub struct Parts {
    pub room: I420Frame,
    pub hair_behind: Layer,
    pub body: Layer,
    pub head: Layer,
    /// `[opening][shape]`.
    pub mouths: Vec<Vec<Layer>>,
    /// Whites and lids, from open to shut; the irises lie between.
    pub lids: Vec<Layer>,
    pub eyes: Vec<Layer>,
    pub brows: Layer,
    pub glasses: Option<Layer>,
    pub fringe: Layer,
}

/// Corner and size of what a layer may cover.
pub(super) type Region = ((i32, i32), (u32, u32));
pub(super) const ALL: Region = ((0, 0), (SIZE.width, SIZE.height));
const UPPER: Region = ((200, 10), (240, 310));
const AROUND_MOUTH: Region = ((280, 196), (80, 56));
const AROUND_EYES: Region = ((252, 124), (136, 60));

impl Parts {
    pub fn draw(look: &Look) -> Self {
        let mouths = |open| (0..MOUTH_SHAPES).map(|round| layer(AROUND_MOUTH, |b| mouth(b, look, open, round))).collect();
        Self {
            room: room(look),
            hair_behind: layer(UPPER, |b| hair_behind(b, look)),
            body: layer(ALL, |b| body(b, look)),
            head: layer(UPPER, |b| head(b, look)),
            mouths: (0..MOUTH_OPENINGS).map(mouths).collect(),
            lids: (0..LIDS).map(|shut| layer(AROUND_EYES, |b| lids(b, look, shut))).collect(),
            eyes: (0..LIDS).map(|shut| layer(AROUND_EYES, |b| irises(b, look, shut))).collect(),
            brows: layer(AROUND_EYES, |b| brows(b, look)),
            glasses: look.glasses.then(|| layer(AROUND_EYES, glasses)),
            fringe: layer(UPPER, |b| fringe(b, look)),
        }
    }
}

fn layer(region: Region, draw: impl FnOnce(&mut Brush)) -> Layer {
    let mut brush = Brush::new(region.0, region.1);
    draw(&mut brush);
    Layer::cut(&brush.into_pixmap().unwrap_or_else(blank), region.0)
}

#[expect(clippy::expect_used, reason = "one pixel always has an area")]
pub(super) fn blank() -> Pixmap {
    Pixmap::new(1, 1).expect("one pixel")
}

fn body(b: &mut Brush, look: &Look) {
    let (cloth, skin) = (look.clothes_colour, look.skin);
    let dark = shade(cloth, -0.28);
    // Shoulders.
    b.shape(
        "M 120 362 C 122 316 138 290 184 274 C 232 258 262 254 280 240 L 360 240 C 378 254 408 258 456 274 C 502 290 518 316 520 362",
        Fill::Down((200.0, 240.0), shade(cloth, 0.10), (440.0, 362.0), dark),
    );
    b.line("M 190 362 C 190 336 186 322 178 308", 2.5, dark, 0.7).line("M 450 362 C 450 336 454 322 462 308", 2.5, dark, 0.7);
    // Neck, with the chin's shadow on it.
    b.shape(
        "M 288 200 L 352 200 C 352 232 354 246 372 256 C 356 284 284 284 268 256 C 286 246 288 232 288 200",
        Fill::Down((280.0, 210.0), shade(skin, -0.12), (370.0, 280.0), shade(skin, -0.02)),
    );
    b.shape("M 288 210 L 352 210 L 352 238 C 344 262 296 262 288 238", Fill::Flat(mix(skin, (90, 30, 30), 0.35), 0.35));
    match look.clothes {
        Clothes::Crew => {
            b.line("M 262 252 C 272 292 368 292 378 252", 13.0, shade(cloth, -0.14), 1.0);
            b.line("M 262 250 C 272 288 368 288 378 250", 3.0, shade(cloth, 0.22), 0.7);
        }
        Clothes::Hoodie => {
            b.shape(
                "M 250 252 C 262 300 300 312 320 312 C 340 312 378 300 390 252 C 372 284 344 292 320 292 C 296 292 268 284 250 252",
                Fill::Flat(dark, 1.0),
            );
            b.shape(
                "M 262 246 C 236 250 226 264 232 280 C 256 296 284 306 316 314 C 286 296 266 276 262 246",
                Fill::Flat(shade(cloth, 0.14), 1.0),
            );
            b.shape(
                "M 378 246 C 404 250 414 264 408 280 C 384 296 356 306 324 314 C 354 296 374 276 378 246",
                Fill::Flat(shade(cloth, 0.06), 1.0),
            );
            b.line("M 300 312 C 298 330 297 340 298 352", 3.5, look.shirt_colour, 1.0).line(
                "M 340 312 C 342 330 343 338 341 346",
                3.5,
                look.shirt_colour,
                1.0,
            );
        }
        Clothes::Blazer => {
            b.shape("M 264 252 C 276 286 364 286 376 252 L 352 362 L 288 362", Fill::Flat(look.shirt_colour, 1.0));
            b.line("M 264 252 C 276 288 364 288 376 252", 3.0, shade(look.shirt_colour, -0.12), 1.0);
            b.shape(
                "M 264 246 C 246 256 238 262 234 268 L 254 306 L 244 316 L 296 362 L 282 330 C 270 300 264 276 264 246",
                Fill::Flat(dark, 1.0),
            );
            b.shape(
                "M 376 246 C 394 256 402 262 406 268 L 386 306 L 396 316 L 344 362 L 358 330 C 370 300 376 276 376 246",
                Fill::Flat(shade(dark, -0.1), 1.0),
            );
        }
    }
    // Light from the upper left.
    b.ellipse((226.0, 286.0), (80.0, 40.0), Fill::Glow { centre: (226.0, 286.0), radius: 60.0, colour: (255, 255, 255), strength: 0.12 });
}

fn head(b: &mut Brush, look: &Look) {
    let skin = look.skin;
    let (light, dark) = (shade(skin, 0.14), mix(shade(skin, -0.16), (120, 50, 40), 0.12));
    for (x, lobe) in [(254.0, 250.0), (386.0, 390.0)] {
        b.ellipse((x, 172.0), (12.0, 18.0), Fill::Round { centre: (x, 168.0), radius: 20.0, inside: skin, outside: dark });
        b.ellipse((x, 172.0), (5.5, 10.0), Fill::Flat(dark, 0.55));
        if look.earrings {
            b.ellipse(
                (lobe, 195.0),
                (4.6, 4.6),
                Fill::Round { centre: (lobe - 1.5, 193.0), radius: 6.0, inside: (255, 238, 170), outside: (206, 152, 48) },
            );
        }
    }
    b.shape(FACE, Fill::Round { centre: (300.0, 140.0), radius: 128.0, inside: light, outside: mix(skin, dark, 0.75) });
    let blush = mix(skin, (232, 84, 84), 0.55);
    for x in [276.0, 364.0] {
        b.ellipse((x, 196.0), (24.0, 17.0), Fill::Glow { centre: (x, 196.0), radius: 22.0, colour: blush, strength: 0.42 });
    }
    if look.beard {
        beard(b, look);
    }
    // Nose: a shadow under it and a light on it.
    b.line("M 322 168 C 330 182 332 190 326 194 C 320 197 314 196 311 193", 2.6, dark, 0.62);
    b.ellipse((316.0, 184.0), (6.0, 8.0), Fill::Glow { centre: (316.0, 183.0), radius: 7.0, colour: (255, 255, 255), strength: 0.20 });
}

const FACE: &str = "M 256 150 C 254 96 280 74 320 74 C 360 74 386 96 384 150 C 384 204 366 250 320 250 C 274 250 256 204 256 150";

fn beard(b: &mut Brush, look: &Look) {
    let hair = look.hair_colour;
    b.shape(
        "M 255 166 C 262 184 266 200 280 204 C 292 196 306 197 320 202 C 334 197 348 196 360 204 C 374 200 378 184 385 166 \
         C 386 214 366 258 320 258 C 274 258 254 214 255 166",
        Fill::Down((290.0, 190.0), shade(hair, 0.10), (350.0, 256.0), shade(hair, -0.22)),
    );
    b.shape(
        "M 287 215 C 300 205 340 205 353 215 C 354 236 340 238 320 238 C 300 238 286 236 287 215",
        Fill::Flat(mix(look.skin, hair, 0.22), 0.9),
    );
}

fn mouth(b: &mut Brush, look: &Look, opening: usize, shape: usize) {
    let (cx, cy) = (320.0, 217.0);
    let lip = mix(look.skin, (170, 44, 56), 0.62);
    let round = shape as f32 / (MOUTH_SHAPES - 1) as f32;
    if opening == 0 {
        let w = 21.0 - 6.0 * round;
        b.line(
            &format!("M {} {} C {} {} {} {} {} {}", cx - w, cy - 2.0, cx - w / 2.0, cy + 7.5, cx + w / 2.0, cy + 7.5, cx + w, cy - 2.0),
            3.4,
            shade(lip, -0.22),
            1.0,
        );
        b.line(
            &format!("M {} {} C {} {} {} {} {} {}", cx - 8.0, cy + 9.5, cx - 3.0, cy + 11.5, cx + 3.0, cy + 11.5, cx + 8.0, cy + 9.5),
            2.4,
            shade(look.skin, -0.2),
            0.5,
        );
        return;
    }
    let open = opening as f32 / (MOUTH_OPENINGS - 1) as f32;
    let (w, h) = (22.0 - 9.0 * round - 2.0 * open, 2.6 + 14.0 * open + 2.0 * round);
    let (top, bottom) = (cy - h * 0.34, cy + h);
    let outline = |grow: f32| {
        let (l, r, t, u) = (cx - w - grow, cx + w + grow, top - grow, bottom + grow);
        format!("M {l} {cy} C {} {t} {} {t} {r} {cy} C {} {u} {} {u} {l} {cy}", cx - w * 0.5, cx + w * 0.5, cx + w * 0.62, cx - w * 0.62)
    };
    b.shape(&outline(2.8), Fill::Flat(lip, 1.0));
    b.shape(&outline(0.0), Fill::Down((cx, top), (92, 26, 34), (cx, bottom), (58, 14, 24)));
    if open > 0.45 {
        let tongue = cy + h * 0.62;
        b.ellipse((cx, tongue), (w * 0.44, h * 0.17), Fill::Flat((214, 96, 104), 0.95));
    }
    if round < 0.9 {
        let teeth = (1.6 + 2.6 * open).min(4.0);
        b.shape(
            &format!(
                "M {} {} C {} {} {} {} {} {} L {} {} L {} {}",
                cx - w * 0.62,
                cy - h * 0.10,
                cx - w * 0.3,
                top + h * 0.04,
                cx + w * 0.3,
                top + h * 0.04,
                cx + w * 0.62,
                cy - h * 0.10,
                cx + w * 0.5,
                cy - h * 0.10 + teeth,
                cx - w * 0.5,
                cy - h * 0.10 + teeth
            ),
            Fill::Flat((252, 250, 244), 0.96),
        );
    }
}

/// Centres of the eyes.
const EYES: [f32; 2] = [292.0, 348.0];
const EYE_Y: f32 = 162.0;

fn lids(b: &mut Brush, look: &Look, shut: usize) {
    let open = 1.0 - shut as f32 / (LIDS - 1) as f32;
    let lash = shade(mix(look.hair_colour, (40, 26, 24), 0.6), -0.3);
    for (x, out) in EYES.into_iter().zip([-1.0_f32, 1.0]) {
        let (l, r) = (x - 14.5, x + 14.5);
        if shut + 1 == LIDS {
            b.line(
                &format!("M {l} {} C {} {} {} {} {r} {}", EYE_Y + 1.0, x - 7.0, EYE_Y + 7.5, x + 7.0, EYE_Y + 7.5, EYE_Y + 1.0),
                3.0,
                lash,
                1.0,
            );
            continue;
        }
        let (up, down) = (EYE_Y - 14.5 * open, EYE_Y + 11.0 * open.max(0.6));
        b.shape(
            &format!("M {l} {EYE_Y} C {} {up} {} {up} {r} {EYE_Y} C {} {down} {} {down} {l} {EYE_Y}", x - 8.0, x + 8.0, x + 8.0, x - 8.0),
            Fill::Flat((253, 251, 248), 1.0),
        );
        b.line(&format!("M {l} {EYE_Y} C {} {up} {} {up} {r} {EYE_Y}", x - 8.0, x + 8.0), 2.8, lash, 1.0);
        let corner = x + out * 14.5;
        b.line(&format!("M {corner} {EYE_Y} L {} {}", corner + out * 3.0, EYE_Y - 3.0), 2.4, lash, 1.0);
    }
}

fn irises(b: &mut Brush, look: &Look, shut: usize) {
    if shut + 1 == LIDS {
        return;
    }
    // What the lids leave free.
    let open = 1.0 - shut as f32 / (LIDS - 1) as f32;
    for x in EYES {
        let y = EYE_Y - 0.6 + 3.0 * (1.0 - open);
        let tall = 9.4 * (0.35 + 0.65 * open);
        b.ellipse(
            (x, y),
            (8.6, tall),
            Fill::Round { centre: (x, y + 3.0), radius: 11.0, inside: shade(look.iris, 0.25), outside: shade(look.iris, -0.35) },
        );
        b.ellipse((x, y), (4.8, tall * 0.56), Fill::Flat((24, 16, 16), 1.0));
        b.ellipse((x - 3.0, y - tall * 0.36), (2.5, 2.5 * (0.4 + 0.6 * open)), Fill::Flat((255, 255, 255), 0.95));
        b.ellipse((x + 3.0, y + tall * 0.32), (1.3, 1.3), Fill::Flat((255, 255, 255), 0.6));
    }
}

fn brows(b: &mut Brush, look: &Look) {
    let colour = if look.hair_colour.0 > 170 { shade(look.hair_colour, -0.35) } else { shade(look.hair_colour, -0.1) };
    let width = if look.beard { 5.0 } else { 4.0 };
    b.line("M 275 141 C 282 133 296 131 305 136", width, colour, 0.92).line("M 365 141 C 358 133 344 131 335 136", width, colour, 0.92);
}

fn glasses(b: &mut Brush) {
    let rim = (48, 40, 44);
    for x in EYES {
        b.rect((x - 22.0, EYE_Y - 17.0), (44.0, 37.0), 15.0, Fill::Flat((220, 236, 255), 0.16));
        b.frame((x - 22.0, EYE_Y - 17.0), (44.0, 37.0), 15.0, 3.2, rim);
        b.line(&format!("M {} {} L {} {}", x - 12.0, EYE_Y - 2.0, x - 4.0, EYE_Y - 11.0), 2.2, (255, 255, 255), 0.5);
    }
    b.line("M 314 160 C 317 157 323 157 326 160", 3.0, rim, 1.0);
    b.line("M 270 158 L 256 155", 3.0, rim, 1.0).line("M 370 158 L 384 155", 3.0, rim, 1.0);
}

fn sheen(colour: Rgb) -> Fill {
    Fill::Down((270.0, 60.0), shade(colour, 0.20), (380.0, 200.0), shade(colour, -0.20))
}

fn hair_behind(b: &mut Brush, look: &Look) {
    let (fill, dark) = (sheen(look.hair_colour), shade(look.hair_colour, -0.25));
    match look.hair {
        Hair::Bun => {
            b.ellipse(
                (322.0, 50.0),
                (33.0, 29.0),
                Fill::Round { centre: (312.0, 40.0), radius: 44.0, inside: shade(look.hair_colour, 0.22), outside: dark },
            );
            b.line("M 300 62 C 306 46 330 38 346 50", 2.4, dark, 0.45).line("M 306 70 C 316 58 336 56 346 64", 2.4, dark, 0.45);
            b.shape("M 248 176 C 236 96 272 60 320 60 C 368 60 404 96 392 176 L 380 190 L 260 190", fill);
        }
        Hair::Long => {
            b.shape(
                "M 236 292 C 214 220 228 56 320 54 C 412 56 426 220 404 292 C 388 306 362 300 352 280 L 288 280 C 278 300 252 306 236 292",
                fill,
            );
            b.line("M 250 280 C 240 220 246 150 262 112", 2.6, dark, 0.4).line("M 390 280 C 400 220 394 150 378 112", 2.6, dark, 0.4);
        }
        Hair::Bob => {
            b.shape(
                "M 244 236 C 226 150 236 58 320 56 C 404 58 414 150 396 236 C 384 246 366 242 360 226 L 280 226 C 274 242 256 246 244 236",
                fill,
            );
        }
        Hair::Curly => {
            for step in 0..20 {
                let angle = std::f32::consts::PI * (0.86 + 1.28 * step as f32 / 19.0);
                let (x, y) = (320.0 + 82.0 * angle.cos(), 142.0 + 84.0 * angle.sin());
                let r = 25.0 + 4.0 * ((step * 7 % 5) as f32 / 4.0);
                b.ellipse(
                    (x, y),
                    (r, r),
                    Fill::Round {
                        centre: (x - 8.0, y - 9.0),
                        radius: r * 1.25,
                        inside: shade(look.hair_colour, 0.17),
                        outside: shade(look.hair_colour, -0.1),
                    },
                );
            }
            b.ellipse((320.0, 122.0), (84.0, 78.0), fill);
        }
        Hair::Short | Hair::Buzz => {
            b.shape("M 254 166 C 246 96 276 66 320 66 C 364 66 394 96 386 166", fill);
        }
    }
}

fn fringe(b: &mut Brush, look: &Look) {
    let (fill, light, dark) = (sheen(look.hair_colour), shade(look.hair_colour, 0.32), shade(look.hair_colour, -0.25));
    match look.hair {
        Hair::Bun => {
            b.shape("M 252 152 C 246 90 276 62 322 62 C 368 62 396 92 388 152 C 382 132 376 118 366 108 C 340 118 318 106 304 92 C 296 112 268 118 252 152", fill);
            b.line("M 300 74 C 284 82 270 96 264 114", 3.0, light, 0.5).line("M 318 72 C 336 76 356 84 368 98", 3.0, light, 0.4);
            b.line("M 306 90 C 308 84 312 78 318 72", 2.0, dark, 0.5);
        }
        Hair::Short => {
            b.shape("M 250 160 C 240 96 258 58 312 54 C 330 44 372 52 384 80 C 396 100 394 134 390 160 C 386 150 384 136 380 120 C 372 104 352 98 332 104 C 306 110 282 100 272 98 C 262 112 256 136 250 160", fill);
            b.line("M 286 70 C 312 60 342 60 366 78", 3.4, light, 0.5).line("M 280 86 C 304 84 330 78 350 84", 2.6, dark, 0.35);
        }
        Hair::Curly => {
            for (i, x) in [258.0, 274.0, 292.0, 310.0, 330.0, 348.0, 366.0, 382.0].into_iter().enumerate() {
                let y = 98.0 - 20.0 * (1.0 - ((x - 320.0) / 66.0_f32).powi(2)) + 3.0 * (i % 2) as f32;
                let r = 17.0 + (i % 3) as f32;
                b.ellipse(
                    (x, y),
                    (r, r),
                    Fill::Round {
                        centre: (x - 5.0, y - 6.0),
                        radius: r * 1.3,
                        inside: shade(look.hair_colour, 0.16),
                        outside: shade(look.hair_colour, -0.1),
                    },
                );
            }
        }
        Hair::Long => {
            b.shape("M 248 190 C 240 96 268 58 320 58 C 372 58 400 96 392 190 C 382 160 376 122 348 98 C 334 88 326 78 322 70 C 316 80 306 90 292 98 C 264 122 258 160 248 190", fill);
            b.line("M 308 72 C 284 84 266 112 260 144", 3.0, light, 0.45).line("M 334 72 C 358 86 374 112 380 144", 3.0, light, 0.35);
        }
        Hair::Bob => {
            b.shape("M 248 170 C 240 92 268 58 320 58 C 372 58 400 92 392 170 C 388 150 384 132 378 122 C 346 128 294 128 262 122 C 256 132 252 150 248 170", fill);
            b.line("M 274 84 C 300 68 340 68 366 84", 3.4, light, 0.45);
            b.line("M 290 122 C 292 108 296 98 302 90", 2.0, dark, 0.35).line("M 340 124 C 342 110 344 100 342 90", 2.0, dark, 0.35);
        }
        Hair::Buzz => {
            b.shape("M 254 146 C 248 92 278 68 320 68 C 362 68 392 92 386 146 C 380 118 368 104 356 100 C 332 94 308 94 284 100 C 272 104 260 118 254 146", Fill::Flat(look.hair_colour, 0.9));
        }
    }
}
