//! What test senders show and sound like, and reading it back: the content oracle.
//!
//! A picture carries a person's number and a frame number as 6 × 4 black and white blocks in its middle
//! (6 + 12 bits and 6 check bits), which survive scaling, moderate cropping and coding. A sound is a
//! person's own tone.

use crate::network::Dice;
use mixdown_codecs::{I420Frame, Size};
use mixdown_layouts::{Cast, Layout, Person, Source, SourceId};

const COLUMNS: usize = 6;
const ROWS: usize = 4;
/// The part of the picture that the blocks fill, around its centre.
const SPAN: (f64, f64) = (0.6, 0.5);
const DARK: u8 = 40;
const LIGHT: u8 = 215;

/// What a picture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code {
    pub person: u8,
    pub frame: u16,
}

/// Pixels: left, top, width, height.
pub type Area = (usize, usize, usize, usize);

fn check(person: u32, frame: u32) -> u32 {
    let mixed = (person << 12 | frame).wrapping_mul(0x9E37_79B1);
    (mixed >> 26) ^ 0b101101
}

/// Draws person `person`'s frame `frame` (both wrap: 6 and 12 bits).
pub fn draw(picture: &mut I420Frame, person: u8, frame: u16) {
    let (person, frame) = (u32::from(person) & 63, u32::from(frame) & 4095);
    let bits = check(person, frame) << 18 | person << 12 | frame;
    let size = picture.size();
    // a colour of one's own, and a little movement that keeps encoders honest
    picture.fill(110, 90 + (person * 37 % 80) as u8, 90 + (person * 53 % 80) as u8);
    let planes = picture.planes_mut();
    let area = (0, 0, size.width as usize, size.height as usize);
    for (index, (left, top, width, height)) in blocks(area).enumerate() {
        let value = if bits >> index & 1 == 1 { LIGHT } else { DARK };
        for row in top..top + height {
            planes.y[row * planes.y_stride + left..][..width].fill(value);
        }
    }
}

/// Noise in the lowest eighth of a picture, another in each.
pub fn noise(picture: &mut I420Frame, n: u64) {
    let mut dice = Dice::new(n);
    let (size, planes) = (picture.size(), picture.planes_mut());
    let rows = (size.height / 8) as usize * planes.y_stride;
    let from = planes.y.len() - rows;
    for part in planes.y[from..].chunks_mut(8) {
        part.iter_mut().zip(dice.next().to_le_bytes()).for_each(|(value, random)| *value = 64 + random / 2);
    }
}

/// The blocks' areas inside `area`, row by row.
fn blocks((left, top, width, height): Area) -> impl Iterator<Item = Area> {
    let (w, h) = (width as f64, height as f64);
    let (x0, y0) = (left as f64 + w * (1.0 - SPAN.0) / 2.0, top as f64 + h * (1.0 - SPAN.1) / 2.0);
    let (bw, bh) = (w * SPAN.0 / COLUMNS as f64, h * SPAN.1 / ROWS as f64);
    (0..COLUMNS * ROWS).map(move |index| {
        let (x, y) = (x0 + bw * (index % COLUMNS) as f64, y0 + bh * (index / COLUMNS) as f64);
        (x.round() as usize, y.round() as usize, bw.floor() as usize, bh.floor() as usize)
    })
}

/// Reads the code in `area` of a composed picture; `None`: no valid code there.
pub fn read(picture: &I420Frame, area: Area) -> Option<Code> {
    let mut bits = 0u32;
    for (index, block) in blocks(area).enumerate() {
        let mean = mean(picture, middle(block))?;
        if (100..155).contains(&mean) {
            return None; // neither black nor white
        }
        bits |= u32::from(mean > 127) << index;
    }
    let (sum, person, frame) = (bits >> 18, bits >> 12 & 63, bits & 4095);
    (sum == check(person, frame)).then_some(Code { person: person as u8, frame: frame as u16 })
}

fn middle((left, top, width, height): Area) -> Area {
    (left + width / 4, top + height / 4, (width / 2).max(1), (height / 2).max(1))
}

fn mean(picture: &I420Frame, (left, top, width, height): Area) -> Option<u8> {
    let planes = picture.planes();
    let mut sum = 0u32;
    for row in top..top + height {
        let line = planes.y.get(row * planes.y_stride + left..)?.get(..width)?;
        sum += line.iter().map(|value| u32::from(*value)).sum::<u32>();
    }
    u8::try_from(sum / (width * height) as u32).ok()
}

/// Whether the area looks like a decoder's fright: plain green (Y and both chromas near zero).
pub fn is_green(picture: &I420Frame, (left, top, width, height): Area) -> bool {
    let planes = picture.planes();
    let at = (top / 2 + height / 4) * planes.uv_stride + left / 2 + width / 4;
    planes.u[at] < 40 && planes.v[at] < 40
}

/// Whether `picture` is of `layout`: in each of the places that it has for so many people a code can be read.
pub fn is_composed_as(picture: &I420Frame, layout: &Layout, people: u64) -> bool {
    let person = |id| Person { camera: Some(Source { id: SourceId(id), size: Some(Size::new(320, 180)) }), ..Person::plain(id) };
    let cast = Cast { people: (1..=people).map(person).collect(), ..Cast::default() };
    let tiles = layout.arrange(&cast, picture.size(), [0; 3]).tiles;
    let area = |side: u32| side as usize;
    tiles.iter().map(|tile| tile.rect).all(|at| read(picture, (area(at.x), area(at.y), area(at.width), area(at.height))).is_some())
}

/// The tone of person `person` in Hz: far enough apart for [`loudness`].
pub fn tone(person: u8) -> f64 {
    400.0 + 150.0 * f64::from(person)
}

/// 20 ms of a person's tone, interleaved stereo, from sample `at` on. Amplitude 0.2.
pub fn sing(person: u8, at: u64, out: &mut Vec<f32>) {
    out.clear();
    for n in at..at + 960 {
        let phase = n as f64 / 48_000.0 * tone(person) * std::f64::consts::TAU;
        let sample = (phase.sin() * 0.2) as f32;
        out.extend([sample, sample]);
    }
}

/// Amplitude of `hz` in interleaved stereo sound (Goertzel on the left channel).
pub fn loudness(pcm: &[f32], hz: f64) -> f64 {
    let count = pcm.len() / 2;
    let coefficient = 2.0 * (std::f64::consts::TAU * hz / 48_000.0).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in pcm.iter().step_by(2) {
        let s0 = f64::from(*sample) + coefficient * s1 - s2;
        (s2, s1) = (s1, s0);
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    2.0 * power.max(0.0).sqrt() / count.max(1) as f64
}

pub fn picture(size: Size) -> I420Frame {
    I420Frame::black(size)
}

#[test]
fn a_code_is_read_back_and_a_wrong_one_is_not() {
    let mut frame = picture(Size::new(160, 90));
    draw(&mut frame, 5, 1234);
    let area = (0, 0, 160, 90);
    assert_eq!(read(&frame, area), Some(Code { person: 5, frame: 1234 }));
    assert_eq!(read(&frame, (40, 20, 80, 45)), None);
    frame.fill(30, 128, 128);
    assert_eq!(read(&frame, area), None, "a dark picture is no code");
}

#[test]
fn a_tone_is_told_from_its_neighbours() {
    let mut second = Vec::new();
    let mut block = Vec::new();
    for n in 0..50 {
        sing(3, n * 960, &mut block);
        second.extend_from_slice(&block);
    }
    assert!((loudness(&second, tone(3)) - 0.2).abs() < 0.01);
    assert!(loudness(&second, tone(2)) < 0.01 && loudness(&second, tone(4)) < 0.01);
}
