//! Pictures to look at: `MIXDOWN_PREVIEW=/some/folder cargo nextest run preview --run-ignored all`.

use super::person::{Articulation, Person};
use mixdown_codecs::I420Frame;

#[test]
#[ignore = "writes pictures for human eyes"]
fn preview_of_people() {
    let Ok(folder) = std::env::var("MIXDOWN_PREVIEW") else { return };
    for number in 0..12_u8 {
        let mut person = Person::new(number);
        for (i, (seconds, open, round)) in [(0.0, 0.0, 0.0), (1.3, 0.4, 0.2), (2.2, 0.9, 0.1), (3.4, 0.7, 1.0)].into_iter().enumerate() {
            let mut frame = I420Frame::black(Person::SIZE);
            person.draw(seconds, Articulation { speaking: open > 0.0, open, round }, &mut frame);
            png(&frame).save(format!("{folder}/person-{number}-{i}.png")).unwrap();
        }
    }
}

#[test]
#[ignore = "measures"]
fn a_frame_costs_little() {
    let begin = crate::runtime::clock::now();
    let mut person = Person::new(2);
    let made = crate::runtime::clock::now();
    let mut frame = I420Frame::black(Person::SIZE);
    for n in 0..300 {
        person.draw(f64::from(n) / 30.0, Articulation { speaking: true, open: 0.5, round: 0.3 }, &mut frame);
    }
    println!("made in {:?}, {:?} per frame", made - begin, made.elapsed() / 300);
}

#[test]
#[ignore = "writes sound for human ears"]
fn preview_of_voices() {
    let Ok(folder) = std::env::var("MIXDOWN_PREVIEW") else { return };
    for number in 0..6_u8 {
        let (mut voice, mut sound) = (super::voice::Voice::new(number), Vec::new());
        for _ in 0..300 {
            voice.frame(true, &mut sound);
        }
        let level = 10.0 * (sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32).log10();
        println!("voice {number}: {level:.1} dBFS, peak {:.2}", sound.iter().fold(0.0_f32, |m, s| m.max(s.abs())));
        let bytes: Vec<u8> = sound.iter().flat_map(|s| s.to_le_bytes()).collect();
        std::fs::write(format!("{folder}/voice-{number}.f32"), bytes).unwrap();
    }
}

fn png(frame: &I420Frame) -> image::RgbImage {
    let planes = frame.planes();
    image::RgbImage::from_fn(frame.size().width, frame.size().height, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let luma = 1.164 * (f32::from(planes.y[y * planes.y_stride + x]) - 16.0);
        let at = y / 2 * planes.uv_stride + x / 2;
        let (u, v) = (f32::from(planes.u[at]) - 128.0, f32::from(planes.v[at]) - 128.0);
        image::Rgb([luma + 1.596 * v, luma - 0.392 * u - 0.813 * v, luma + 2.017 * u].map(|c| c.clamp(0.0, 255.0) as u8))
    })
}
