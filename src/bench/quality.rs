//! How good the composite is: the stretch of pictures that the reading viewer kept, against what should be seen (the clips'
//! pictures as their markers say, scaled by the same kernels), and against what x264 makes of that at the same bitrate.
//!
//! Both are PSNR of luma over all pictures of the stretch, in dB.

use super::clip::{Clip, FPS};
use super::guard::Why;
use super::viewer::{SAMPLES, Sample};
use crate::process;
use mixdown_codecs::{FramePool, I420Frame, Size, VideoCodec, gate::Limits, video};
use mixdown_layouts::draw::{Canvas, Picture, Pictures};
use mixdown_layouts::{Rect, Scene, SourceId, Tile};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// PSNR of the composite and of x264 superfast at its bitrate. Takes seconds: not for a media thread.
///
/// # Errors
/// Why it was not compared: what was received could not be read, or there is no yardstick.
pub fn compare(samples: &[Sample], clips: &[Arc<Clip>], codec: VideoCodec) -> Result<(f64, f64), Why> {
    if samples.len() < SAMPLES {
        return Err(Why::Unread(format!("of {SAMPLES} pictures in a row the markers of all tiles were read in {}", samples.len())));
    }
    let unread = || Why::Unread("the markers that were read are not of what was sent".into());
    let truth = truth(samples, clips, codec).ok_or_else(unread)?;
    let own = psnr(samples.iter().map(|sample| &sample.frame).zip(&truth)).ok_or_else(unread)?;
    let unchecked = |why: &str| Why::Unchecked(format!("{own:.2} dB; {why}"));
    if codec != VideoCodec::H264 {
        return Err(unchecked("the yardstick is one of H.264"));
    }
    let ffmpeg = process::find("ffmpeg").ok_or_else(|| unchecked("ffmpeg is not installed"))?;
    let coded = x264(&ffmpeg, &truth, bitrate(samples)).map_err(|error| unchecked(&error))?;
    let reference = psnr(coded.iter().zip(&truth)).ok_or_else(|| unchecked("ffmpeg made pictures of another size"))?;
    Ok((own, reference))
}

/// Bits per second of the samples.
pub fn bitrate(samples: &[Sample]) -> usize {
    samples.iter().map(|sample| sample.bytes).sum::<usize>() * 8 * FPS as usize / samples.len().max(1)
}

/// What should be seen in each sample; `None`: a marker names what is in no clip.
pub fn truth(samples: &[Sample], clips: &[Arc<Clip>], codec: VideoCodec) -> Option<Vec<I420Frame>> {
    let size = samples.first()?.frame.size();
    // Between the tiles is what the composite has there: it does not count.
    let mut frames: Vec<I420Frame> = samples.iter().map(|sample| sample.frame.clone()).collect();
    let tiles = samples.first()?.seen.len();
    for tile in 0..tiles {
        let wanted: Vec<_> = samples.iter().map(|sample| sample.seen.get(tile).copied()).collect::<Option<_>>()?;
        let (place, mark) = wanted.first().copied()?;
        let rect = rect(place, size);
        let layer = clips.get(usize::from(mark.person))?.layer_for(rect.height)?;
        if wanted.iter().any(|(_, mark)| usize::from(mark.frame) >= layer.pictures.len()) {
            return None;
        }
        let (mut decoder, mut pool) = (video::decoder(codec, Limits::default())?.ok()?, FramePool::default());
        let mut painter = Canvas::new(rect.size());
        let mut shown = None;
        for n in 0..layer.pictures.len() {
            if let Some(Some((data, _))) = layer.pictures.get(n) {
                shown = decoder.decode(data, &mut pool).ok()?.or(shown);
            }
            for (_, frame) in wanted.iter().zip(&mut frames).filter(|((_, mark), _)| usize::from(mark.frame) == n) {
                paint(&mut painter, shown.as_ref()?, n, frame, rect);
            }
        }
    }
    Some(frames)
}

/// The server's tiles are even; the map has them in fractions.
fn rect([x, y, width, height]: [f32; 4], canvas: Size) -> Rect {
    let side = |part: f32, whole: u32| ((part * whole as f32 / 2.0).round() as u32) * 2;
    let (x, y) = (side(x, canvas.width), side(y, canvas.height));
    Rect::new(x, y, side(width, canvas.width).min(canvas.width - x), side(height, canvas.height).min(canvas.height - y))
}

struct One(Picture);

impl Pictures for One {
    fn latest(&self, _: SourceId) -> Option<Picture> {
        Some(self.0.clone())
    }
}

fn paint(painter: &mut Canvas, picture: &Arc<I420Frame>, sequence: usize, onto: &mut I420Frame, rect: Rect) {
    let scene = Scene::plain(rect.size(), vec![Tile::plain(0, Rect::new(0, 0, rect.width, rect.height))]);
    let (frame, sequence) = (Arc::clone(picture), sequence as u64 + 1);
    painter.draw(&scene, &One(Picture { frame, sequence, quarter_turns: 0, flip: false, scaled: None }));
    blit(painter.frame(), onto, rect);
}

fn blit(from: &I420Frame, onto: &mut I420Frame, rect: Rect) {
    let source = from.planes();
    let target = onto.planes_mut();
    let (y_stride, uv_stride) = (target.y_stride, target.uv_stride);
    let planes = [
        (source.y, source.y_stride, target.y, y_stride, 1),
        (source.u, source.uv_stride, target.u, uv_stride, 2),
        (source.v, source.uv_stride, target.v, uv_stride, 2),
    ];
    for (from, width, onto, stride, share) in planes {
        let (x, y) = ((rect.x / share) as usize, (rect.y / share) as usize);
        for (row, line) in from.chunks_exact(width).zip(onto.chunks_exact_mut(stride).skip(y)) {
            if let Some(part) = line.get_mut(x..x + width) {
                part.copy_from_slice(row);
            }
        }
    }
}

/// Over all pictures at once; `None`: there are none, or they are of different sizes. Equal pictures are 100 dB.
pub fn psnr<'a>(pairs: impl Iterator<Item = (&'a I420Frame, &'a I420Frame)>) -> Option<f64> {
    let (mut error, mut count) = (0_u64, 0_u64);
    for (a, b) in pairs {
        if a.size() != b.size() {
            return None;
        }
        let square = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
        error += a.planes().y.iter().zip(b.planes().y).map(square).sum::<u64>();
        count += a.size().pixels() as u64;
    }
    let mean = error as f64 / (count > 0).then_some(count as f64)?;
    Some(if mean < 6.5e-6 { 100.0 } else { 10.0 * (255.0_f64.powi(2) / mean).log10() })
}

/// What x264 superfast makes of `frames` at `bitrate`, in the steady state: it is given them backwards first, and only what
/// follows is kept.
///
/// # Errors
/// What ffmpeg says.
fn x264(ffmpeg: &Path, frames: &[I420Frame], bitrate: usize) -> Result<Vec<I420Frame>, String> {
    let first = frames.first().ok_or("there are no pictures")?;
    let (size, bytes) = (first.size(), first.data().len());
    let (dimensions, rate, kbps) = (size.to_string(), FPS.to_string(), format!("{}k", (bitrate / 1000).max(1)));
    let raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p"];
    let input = [&raw[..], &["-s", &dimensions, "-r", &rate, "-i", "-"]].concat();
    let coding = ["-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-profile:v", "baseline", "-threads", "1"];
    let rates = ["-b:v", &kbps, "-maxrate", &kbps, "-bufsize", &kbps, "-g", "9999", "-f", "h264", "-"];
    let raw_bytes = || frames.iter().rev().chain(frames).flat_map(|frame| frame.data().to_vec()).collect::<Vec<u8>>();
    let coded = pipe(ffmpeg, &[&input[..], &coding, &rates].concat(), raw_bytes())?;
    let decoded = pipe(ffmpeg, &[&["-f", "h264", "-i", "-"][..], &raw, &["-"]].concat(), coded)?;
    let frame = |bytes: &[u8]| {
        let mut frame = I420Frame::black(size);
        frame.data_mut().copy_from_slice(bytes);
        frame
    };
    let decoded: Vec<I420Frame> = decoded.chunks_exact(bytes).skip(frames.len()).map(frame).collect();
    let count = decoded.len();
    if count == frames.len() { Ok(decoded) } else { Err(format!("ffmpeg made {count} pictures of {}", frames.len())) }
}

/// Runs ffmpeg from bytes to bytes.
fn pipe(ffmpeg: &Path, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("ffmpeg: {error}");
    let mut child = Command::new(ffmpeg)
        .args(["-v", "error"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take().ok_or("ffmpeg takes nothing")?;
    let writer = std::thread::spawn(move || {
        // It may end without having read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().map_err(failed)?;
    let _ = writer.join();
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    // What follows the first line only says that there was an error.
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("ffmpeg: {}", said.lines().find(|line| !line.trim().is_empty()).unwrap_or("made nothing and says nothing")))
}

#[cfg(test)]
mod tests {
    use super::super::clip::tests::clip;
    use super::*;
    use crate::demo::marker::Mark;

    /// Two people beside each other as a perfect server would show them, worse by `noise`.
    fn samples(clips: &[Arc<Clip>], noise: u8) -> Vec<Sample> {
        let mark = |person: u8, n: usize| Mark { person, frame: ((n + 10 * usize::from(person)) % 60) as u16 };
        let sample = |n: usize| Sample {
            frame: I420Frame::black(Size::new(256, 72)),
            seen: vec![([0.0, 0.0, 0.5, 1.0], mark(0, n)), ([0.5, 0.0, 0.5, 1.0], mark(1, n))],
            bytes: 2_000,
        };
        let mut samples: Vec<Sample> = (0..60).map(sample).collect();
        let truth = truth(&samples, clips, VideoCodec::Vp8).unwrap();
        for (sample, mut truth) in samples.iter_mut().zip(truth) {
            truth.data_mut().iter_mut().for_each(|byte| *byte = byte.saturating_add(noise));
            sample.frame = truth;
        }
        samples
    }

    #[test]
    fn a_perfect_composite_is_perfect_and_a_brighter_one_is_as_bad_as_it_is_bright() {
        let clips: Vec<_> = (0..2).map(|number| Arc::new(clip(number, 2, VideoCodec::Vp8, Size::new(128, 72)))).collect();
        let judge = |samples: &[Sample]| {
            let truth = truth(samples, &clips, VideoCodec::Vp8).unwrap();
            psnr(samples.iter().map(|sample| &sample.frame).zip(&truth)).unwrap()
        };
        assert_eq!(judge(&samples(&clips, 0)), 100.0);
        assert!((judge(&samples(&clips, 4)) - 36.09).abs() < 0.2, "{}", judge(&samples(&clips, 4)));
        let mut late = samples(&clips, 0);
        late.iter_mut().for_each(|sample| sample.seen[0].1.frame = (sample.seen[0].1.frame + 30) % 60);
        assert!(judge(&late) < 30.0, "another moment than the marker says: {}", judge(&late));
    }

    #[test]
    fn what_cannot_be_read_is_no_lack_of_a_yardstick() {
        let clips: Vec<_> = (0..2).map(|number| Arc::new(clip(number, 2, VideoCodec::Vp8, Size::new(128, 72)))).collect();
        let mut samples = samples(&clips, 0);
        assert!(matches!(compare(&samples, &clips, VideoCodec::Vp8), Err(Why::Unchecked(why)) if why.contains("100.00 dB")));
        samples[7].seen[1].1.frame = 60_000;
        assert!(matches!(compare(&samples, &clips, VideoCodec::Vp8), Err(Why::Unread(_))), "a picture that is in no clip");
        let few = compare(&samples[..9], &clips, VideoCodec::Vp8);
        assert_eq!(few, Err(Why::Unread("of 60 pictures in a row the markers of all tiles were read in 9".into())));
    }

    #[test]
    fn ffmpeg_says_itself_what_it_lacks() {
        let Some(ffmpeg) = process::find("ffmpeg") else {
            println!("skipped: ffmpeg is not installed");
            return;
        };
        let refused = pipe(&ffmpeg, &["-f", "nonsense", "-i", "-", "-f", "null", "-"], Vec::new()).unwrap_err();
        assert!(refused.starts_with("ffmpeg: ") && refused.contains("nonsense"), "{refused}");
    }

    #[test]
    fn x264_is_the_yardstick_where_ffmpeg_is_there() {
        let Some(ffmpeg) = process::find("ffmpeg") else {
            println!("skipped: ffmpeg is not installed");
            return;
        };
        let clips: Vec<_> = (0..2).map(|number| Arc::new(clip(number, 2, VideoCodec::Vp8, Size::new(128, 72)))).collect();
        let frames: Vec<I420Frame> = samples(&clips, 0).into_iter().map(|sample| sample.frame).collect();
        let fine = match x264(&ffmpeg, &frames, 800_000) {
            Err(error) if error.contains("libx264") => {
                println!("skipped: {error}");
                return;
            }
            outcome => outcome.unwrap(),
        };
        let coarse = x264(&ffmpeg, &frames, 80_000).unwrap();
        let db = |coded: &[I420Frame]| psnr(coded.iter().zip(&frames)).unwrap();
        assert!(db(&fine) > db(&coarse) + 2.0 && db(&coarse) > 20.0, "{} {}", db(&fine), db(&coarse));
    }
}
