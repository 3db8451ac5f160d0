//! What a sender replays, coded beforehand: some seconds of a marked picture in one or several sizes, and of a tone with
//! beeps, to be played in a loop. Replaying costs the generator no coding.
//!
//! Every [`GROUP`]th picture is a keyframe, in all sizes at once: there the loop begins again, and there a request for a keyframe
//! is answered, by jumping to the next one. Pure but for the codecs.

use super::ivf::Pictures;
use crate::demo::beep::{Ear, Tone};
use crate::demo::marker::{self, Mark};
use mixdown_codecs::gate::{self, Limits};
use mixdown_codecs::{AudioCodec, EncoderConfig, FRAME_SAMPLES, I420Frame, Intra, Size, VideoCodec, audio, video};
use std::sync::Arc;

pub const FPS: u32 = 30;
pub const AUDIO_RATE: u32 = 50;
/// Length of a clip.
pub const SECONDS: usize = 10;
const AUDIO_BPS: u32 = 32_000;
/// Pictures between two keyframes.
pub const GROUP: usize = 60;
/// Persons whose beeps can be told apart.
pub const EARS: u8 = 8;

/// One size of the picture.
pub struct Layer {
    pub size: Size,
    /// Coded picture and whether it is a keyframe; `None`: rate control left it out.
    pub pictures: Vec<Option<(Arc<[u8]>, bool)>>,
}

pub struct Clip {
    /// The smallest first; none: the camera is off.
    pub layers: Vec<Layer>,
    /// Every 20 ms; an empty one is silence that is not sent.
    pub packets: Vec<Arc<[u8]>>,
    /// Level of each packet, dBov.
    pub levels: Vec<i8>,
    /// Where beeps begin once a receiver has decoded the clip: packet, and sample within it.
    pub beeps: Vec<(usize, u64)>,
}

/// What senders of this size are given, in bits per second.
pub fn bitrate(size: Size) -> u32 {
    match size.height {
        ..=180 => 150_000,
        181..=360 => 600_000,
        _ => 2_000_000,
    }
}

/// Codes `seconds` of what `draw` draws for each number, with the marker of person `number`.
///
/// # Errors
/// In words: the codec is missing or refuses.
pub fn code(
    codec: VideoCodec,
    number: u8,
    seconds: usize,
    size: Size,
    draw: &mut dyn FnMut(usize, &mut I420Frame),
) -> Result<Pictures, String> {
    let settings = EncoderConfig { size, fps: FPS, bitrate_bps: bitrate(size), screen: false, layered: false };
    let mut encoder =
        video::encoder(codec, settings).ok_or_else(|| format!("this build has no {}", codec.name()))?.map_err(|error| error.to_string())?;
    let mut frame = I420Frame::black(size);
    let mut pictures = Vec::with_capacity(seconds * FPS as usize);
    for n in 0..seconds * FPS as usize {
        draw(n, &mut frame);
        marker::write(&mut frame, Mark { person: number, frame: n as u16 });
        let intra = if n % GROUP == 0 { Intra::Force } else { Intra::Auto };
        let coded = encoder.encode(&frame, n as u64 * 1000 / u64::from(FPS), intra).map_err(|error| error.to_string())?;
        pictures.push(coded.map(|coded| coded.data));
    }
    Ok(pictures)
}

impl Layer {
    /// `None`: a picture is not one of the codec.
    pub fn new(codec: VideoCodec, size: Size, pictures: Pictures) -> Option<Self> {
        let keyed = |data: Arc<[u8]>| Some((Arc::clone(&data), gate::inspect(codec, &data, Limits::default()).ok()?.keyframe));
        let pictures = pictures.into_iter().map(|picture| picture.map_or(Some(None), |data| keyed(data).map(Some)));
        Some(Self { size, pictures: pictures.collect::<Option<_>>()? })
    }

    fn is_keyframe(&self, n: usize) -> bool {
        matches!(self.pictures.get(n), Some(Some((_, true))))
    }
}

impl Clip {
    /// With sound of person `number`; who does not talk is all but silent.
    pub fn new(layers: Vec<Layer>, number: u8, seconds: usize, talks: bool) -> Result<Self, String> {
        let (packets, levels, beeps) = sound(number, seconds, talks)?;
        Ok(Self { layers, packets, levels, beeps })
    }

    /// Pictures until it begins again.
    pub fn length(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.pictures.len())
    }

    /// The keyframe at or after picture `n`, around the end of the loop.
    pub fn keyframe_after(&self, n: usize) -> usize {
        let length = self.length().max(1);
        let keyframe = |n: &usize| self.layers.iter().all(|layer| layer.is_keyframe(*n));
        (n..n + length).map(|n| n % length).find(keyframe).unwrap_or(0)
    }

    /// The layer that a tile of this height is best made of: the smallest that is no smaller, else the largest.
    pub fn layer_for(&self, height: u32) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.size.height >= height).or(self.layers.last())
    }
}

type Sound = (Vec<Arc<[u8]>>, Vec<i8>, Vec<(usize, u64)>);

fn sound(number: u8, seconds: usize, talks: bool) -> Result<Sound, String> {
    let mut encoder = audio::encoder(AudioCodec::Opus, AUDIO_BPS).map_err(|error| error.to_string())?;
    let mut decoder = audio::decoder(AudioCodec::Opus).map_err(|error| error.to_string())?;
    // The beeps of two people never meet: each has its own moment of the second, away from the loop's seam.
    let mut tone = Tone::of(number);
    tone.offset = 6_000 + u64::from(number % EARS) * 5_000;
    let mut ear = Ear::new(tone.beep);
    let loudness = if talks { 1.0 } else { 0.003 };
    let (mut packets, mut levels, mut beeps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pcm, mut decoded) = (Vec::new(), Vec::new());
    for _ in 0..seconds * AUDIO_RATE as usize {
        pcm.clear();
        tone.frame(&mut pcm);
        pcm.iter_mut().for_each(|sample| *sample *= loudness);
        let power = pcm.iter().map(|sample| sample * sample).sum::<f32>() / pcm.len() as f32;
        levels.push((10.0 * power.max(1e-12).log10()).clamp(-127.0, 0.0) as i8);
        let packet = encoder.encode(&pcm).map_err(|error| error.to_string())?.unwrap_or_else(|| Arc::from(&[][..]));
        decoded.clear();
        if packet.is_empty() {
            decoded.resize(2 * FRAME_SAMPLES, 0.0);
        } else {
            decoder.decode(&packet, &mut decoded).map_err(|error| error.to_string())?;
        }
        ear.listen(&decoded, |at| beeps.push(((at / FRAME_SAMPLES as u64) as usize, at % FRAME_SAMPLES as u64)));
        packets.push(packet);
    }
    Ok((packets, levels, beeps))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::demo::person::{Articulation, Person};
    use mixdown_codecs::FramePool;

    /// A person's clip of one size, not out of the cache.
    pub fn clip(number: u8, seconds: usize, codec: VideoCodec, size: Size) -> Clip {
        let (mut person, mut whole) = (Person::new(number), I420Frame::black(Person::SIZE));
        let mut reducer = mixdown_layouts::draw::Reducer::default();
        let mut draw = |n: usize, frame: &mut I420Frame| {
            person.draw(n as f64 / 30.0, Articulation::default(), &mut whole);
            reducer.reduce(&whole, frame);
        };
        let pictures = code(codec, number, seconds, size, &mut draw).unwrap();
        Clip::new(vec![Layer::new(codec, size, pictures).unwrap()], number, seconds, true).unwrap()
    }

    #[test]
    fn a_clip_of_either_codec_reads_back_its_markers_from_any_keyframe() {
        for codec in [VideoCodec::H264, VideoCodec::Vp8] {
            let clip = clip(5, 3, codec, Size::new(320, 180));
            assert_eq!((clip.length(), clip.packets.len(), clip.levels.len()), (90, 150, 150));
            assert_eq!((clip.keyframe_after(0), clip.keyframe_after(1), clip.keyframe_after(61)), (0, 60, 0));
            let (mut decoder, mut pool) = (video::decoder(codec, Limits::default()).unwrap().unwrap(), FramePool::default());
            let mut read = 0;
            let pictures = clip.layers[0].pictures.iter().enumerate().skip(60);
            for (n, (data, _)) in pictures.filter_map(|(n, picture)| Some((n, picture.as_ref()?))) {
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
        let clip = Clip::new(Vec::new(), 1, 3, true).unwrap();
        assert_eq!(clip.beeps.len(), 3, "{:?}", clip.beeps);
        let at = |n: usize| clip.beeps[n].0 as u64 * 960 + clip.beeps[n].1;
        // Sent at 11 000 samples; Opus looks ahead by 312.
        assert!((11_200..11_500).contains(&at(0)), "{}", at(0));
        assert!((at(1) - at(0)).abs_diff(48_000) < 100);
    }

    #[test]
    fn who_does_not_talk_is_no_speaker() {
        let clip = Clip::new(Vec::new(), 1, 1, false).unwrap();
        assert!(clip.beeps.is_empty() && clip.levels.iter().all(|level| *level < -60), "{:?}", clip.levels);
        assert!(clip.packets.iter().filter(|packet| packet.is_empty()).count() > 20, "silence is not sent");
    }
}
