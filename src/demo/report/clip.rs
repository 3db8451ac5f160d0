//! What a measuring sender sends, coded beforehand: some seconds of a marked person and of a tone with
//! beeps, to be played in a loop. Coding costs nothing while the measurement runs.

use crate::demo::beep::{Ear, Tone};
use crate::demo::marker::{self, Mark};
use crate::demo::person::{Articulation, Person};
use mixdown_codecs::{AudioCodec, EncoderConfig, FRAME_SAMPLES, I420Frame, Intra, VideoCodec, audio, video};
use std::sync::Arc;

pub const FPS: u32 = 30;
pub const AUDIO_RATE: u32 = 50;
const VIDEO_BPS: u32 = 600_000;
const AUDIO_BPS: u32 = 32_000;
/// Pictures between two keyframes, where a loop may begin or a request be answered.
const GROUP: usize = 60;

pub struct Clip {
    /// Coded picture and whether it is a keyframe; `None`: rate control left it out.
    pub pictures: Vec<Option<(Arc<[u8]>, bool)>>,
    pub packets: Vec<Arc<[u8]>>,
    /// Level of each packet, dBov.
    pub levels: Vec<i8>,
    /// Where beeps begin once a receiver has decoded the clip: packet, and sample within it.
    pub beeps: Vec<(usize, u64)>,
}

impl Clip {
    /// Person `number`, `seconds` long. `step` is called once per picture.
    pub fn code(number: u8, seconds: usize, codec: VideoCodec, mut step: impl FnMut()) -> Result<Self, String> {
        let settings = EncoderConfig { size: Person::SIZE, fps: FPS, bitrate_bps: VIDEO_BPS, screen: false, layered: false };
        let mut encoder = video::encoder(codec, settings)
            .ok_or_else(|| format!("this build has no {}", codec.name()))?
            .map_err(|error| error.to_string())?;
        let (mut person, mut frame) = (Person::new(number), I420Frame::black(Person::SIZE));
        let mut pictures = Vec::with_capacity(seconds * FPS as usize);
        for n in 0..seconds * FPS as usize {
            let t = n as f64 / f64::from(FPS);
            let open = (0.5 + 0.5 * (t * 11.0).sin()) as f32;
            person.draw(t, Articulation { speaking: true, open, round: 0.3 }, &mut frame);
            marker::write(&mut frame, Mark { person: number, frame: n as u16 });
            let intra = if n % GROUP == 0 { Intra::Force } else { Intra::Auto };
            let coded = encoder.encode(&frame, (t * 1000.0) as u64, intra).map_err(|error| error.to_string())?;
            pictures.push(coded.map(|coded| (coded.data, coded.keyframe)));
            step();
        }
        let (packets, levels, beeps) = sound(number, seconds)?;
        Ok(Self { pictures, packets, levels, beeps })
    }

    /// The keyframe at or after picture `n`, around the end of the loop.
    pub fn keyframe_after(&self, n: usize) -> usize {
        let length = self.pictures.len().max(1);
        let keyframe = |n: &usize| matches!(self.pictures.get(*n), Some(Some((_, true))));
        (n..n + length).map(|n| n % length).find(keyframe).unwrap_or(0)
    }
}

type Sound = (Vec<Arc<[u8]>>, Vec<i8>, Vec<(usize, u64)>);

fn sound(number: u8, seconds: usize) -> Result<Sound, String> {
    let mut encoder = audio::encoder(AudioCodec::Opus, AUDIO_BPS).map_err(|error| error.to_string())?;
    let mut decoder = audio::decoder(AudioCodec::Opus).map_err(|error| error.to_string())?;
    // The beeps of two people never meet: each has its own moment of the second, away from the loop's seam.
    let mut tone = Tone::of(number);
    tone.offset = 6_000 + u64::from(number % 8) * 5_000;
    let mut ear = Ear::new(tone.beep);
    let (mut packets, mut levels, mut beeps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pcm, mut decoded) = (Vec::new(), Vec::new());
    for _ in 0..seconds * AUDIO_RATE as usize {
        pcm.clear();
        tone.frame(&mut pcm);
        let power = pcm.iter().map(|sample| sample * sample).sum::<f32>() / pcm.len() as f32;
        levels.push((10.0 * power.max(1e-12).log10()).clamp(-127.0, 0.0) as i8);
        let packet = encoder.encode(&pcm).map_err(|error| error.to_string())?.unwrap_or_else(|| Arc::from(&[][..]));
        decoded.clear();
        decoder.decode(&packet, &mut decoded).map_err(|error| error.to_string())?;
        ear.listen(&decoded, |at| beeps.push(((at / FRAME_SAMPLES as u64) as usize, at % FRAME_SAMPLES as u64)));
        packets.push(packet);
    }
    Ok((packets, levels, beeps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mixdown_codecs::{FramePool, gate::Limits};

    #[test]
    fn a_clip_of_either_codec_reads_back_its_markers_from_any_keyframe() {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let clip = Clip::code(5, 3, codec, || {}).unwrap();
            assert_eq!((clip.pictures.len(), clip.packets.len(), clip.levels.len()), (90, 150, 150));
            assert_eq!((clip.keyframe_after(0), clip.keyframe_after(1), clip.keyframe_after(61)), (0, 60, 0));
            let (mut decoder, mut pool) = (video::decoder(codec, Limits::default()).unwrap().unwrap(), FramePool::default());
            let mut read = 0;
            for (n, (data, _)) in clip.pictures.iter().enumerate().skip(60).filter_map(|(n, picture)| Some((n, picture.as_ref()?))) {
                let picture = decoder.decode(data, &mut pool).unwrap().unwrap();
                let mark = marker::read(&picture, marker::Area::whole(&picture));
                assert_eq!(mark, Some(Mark { person: 5, frame: n as u16 }));
                read += 1;
            }
            assert!(read >= 28);
        }
    }

    #[test]
    fn beeps_are_located_once_a_second_with_the_codec_s_own_delay() {
        let clip = Clip::code(1, 3, VideoCodec::Vp8, || {}).unwrap();
        assert_eq!(clip.beeps.len(), 3, "{:?}", clip.beeps);
        let at = |n: usize| clip.beeps[n].0 as u64 * 960 + clip.beeps[n].1;
        // Sent at 11 000 samples; Opus looks ahead by 312.
        assert!((11_200..11_500).contains(&at(0)), "{}", at(0));
        assert!((at(1) - at(0)).abs_diff(48_000) < 100);
    }
}
