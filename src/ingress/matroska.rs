//! What the child writes: Matroska (RFC 9559) with whole pictures (I420) and samples (16 bits, 48 kHz, stereo) in it, as a stream.
//!
//! Only what that needs is read: the tracks, the clusters' times, and simple blocks. Everything else is skipped. The child is not trusted
//! more than what it decodes: every size is bounded.

use mixdown_codecs::{FramePool, I420Frame, Size};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_AE6B;
const CLUSTER: u32 = 0x1F43_B675;
const CLUSTER_TIME: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;
const VIDEO: u32 = 0xE0;
const WIDTH: u32 = 0xB0;
const HEIGHT: u32 = 0xBA;
/// The largest head or block of sound: half a second and more.
const MAX_ELEMENT: u64 = 256 << 10;
/// The longest side of a picture.
const MAX_SIDE: u32 = 3840;

/// What is in the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tracks {
    pub picture: Option<Size>,
    pub sound: bool,
}

#[derive(Debug)]
pub enum Element {
    Tracks(Tracks),
    Picture(Duration, Arc<I420Frame>),
    Sound(Duration, Arc<[u8]>),
}

/// Reads one stream. An error is the end of it.
pub struct Reader<R> {
    input: R,
    pool: FramePool,
    picture: Option<(u64, Size)>,
    sound: Option<u64>,
    cluster: u64,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: Read> Reader<R> {
    pub fn new(input: R) -> Self {
        Self { input, pool: FramePool::default(), picture: None, sound: None, cluster: 0 }
    }

    /// The next of what is in it; `None`: the end.
    pub fn element(&mut self) -> io::Result<Option<Element>> {
        while let Some(id) = self.id()? {
            let size = self.size()?;
            match id {
                // One goes into them; where they end does not matter.
                SEGMENT | CLUSTER | BLOCK_GROUP => {}
                TRACKS => return self.tracks(size).map(|tracks| Some(Element::Tracks(tracks))),
                CLUSTER_TIME => self.cluster = number(&self.take(size)?)?,
                SIMPLE_BLOCK | BLOCK => {
                    if let Some(element) = self.block(size)? {
                        return Ok(Some(element));
                    }
                }
                _ => self.skip(size)?,
            }
        }
        Ok(None)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// An element's id, its marker included; `None`: the stream ends here.
    fn id(&mut self) -> io::Result<Option<u32>> {
        let mut first = [0];
        loop {
            match self.input.read(&mut first) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = first[0].leading_zeros();
        if length > 3 {
            return Err(broken("an id is too long"));
        }
        let mut id = u32::from(first[0]);
        for _ in 0..length {
            id = id << 8 | u32::from(self.byte()?);
        }
        Ok(Some(id))
    }

    /// A number without its marker; all ones (unknown size) is the largest.
    fn vint(&mut self) -> io::Result<(u64, u64)> {
        let first = self.byte()?;
        let length = u64::from(first.leading_zeros());
        if length > 7 {
            return Err(broken("a size is too long"));
        }
        let mut value = u64::from(first) & (0x7f >> length);
        for _ in 0..length {
            value = value << 8 | u64::from(self.byte()?);
        }
        Ok((value, length + 1))
    }

    fn size(&mut self) -> io::Result<u64> {
        Ok(self.vint()?.0)
    }

    fn take(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_ELEMENT {
            return Err(broken("an element is too large"));
        }
        let mut bytes = vec![0; size as usize];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, size: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(size), &mut io::sink())?;
        if skipped == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn tracks(&mut self, size: u64) -> io::Result<Tracks> {
        let bytes = self.take(size)?;
        for entry in elements(&bytes).filter(|(id, _)| *id == TRACK_ENTRY).map(|(_, entry)| entry) {
            let field = |wanted: u32| elements(entry).find(|(id, _)| *id == wanted).map(|(_, value)| value);
            let numeric = |wanted: u32| field(wanted).and_then(|value| number(value).ok());
            match (numeric(TRACK_NUMBER), numeric(TRACK_TYPE)) {
                (Some(track), Some(1)) => {
                    let video = field(VIDEO).unwrap_or_default();
                    let side = |wanted: u32| elements(video).find(|(id, _)| *id == wanted).and_then(|(_, value)| number(value).ok());
                    let side = |wanted| side(wanted).and_then(|side| u32::try_from(side).ok()).filter(|side| (2..=MAX_SIDE).contains(side));
                    let (Some(width), Some(height)) = (side(WIDTH), side(HEIGHT)) else {
                        return Err(broken("a picture has no usable size"));
                    };
                    self.picture = Some((track, Size::new(width, height)));
                }
                (Some(track), Some(2)) => self.sound = Some(track),
                _ => {}
            }
        }
        Ok(Tracks { picture: self.picture.map(|(_, size)| size), sound: self.sound.is_some() })
    }

    fn block(&mut self, size: u64) -> io::Result<Option<Element>> {
        let (track, length) = self.vint()?;
        let mut head = [0; 3];
        self.input.read_exact(&mut head)?;
        let left = size.checked_sub(length + 3).ok_or_else(|| broken("a block is too short"))?;
        let offset = i64::from(i16::from_be_bytes([head[0], head[1]]));
        let time = Duration::from_millis(self.cluster.saturating_add_signed(offset));
        if let Some((_, size)) = self.picture.filter(|(of, _)| *of == track) {
            let mut frame = self.pool.acquire(size);
            let Some(writable) = Arc::get_mut(&mut frame) else { return Err(broken("a picture is shared")) };
            if writable.data().len() as u64 != left {
                return Err(broken("a picture has another size than its track"));
            }
            self.input.read_exact(writable.data_mut())?;
            return Ok(Some(Element::Picture(time, self.pool.share(frame))));
        }
        if self.sound == Some(track) {
            return Ok(Some(Element::Sound(time, self.take(left)?.into())));
        }
        self.skip(left)?;
        Ok(None)
    }
}

/// The elements in `bytes`, as far as they are whole.
fn elements(bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = rest.first()?.leading_zeros() as usize + 1;
        let id = rest.get(..length.min(4))?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let body = rest.get(length..)?;
        let width = body.first()?.leading_zeros() as usize;
        let digits = body.get(..width + 1).filter(|_| width < 8)?;
        let size = digits.iter().enumerate().fold(0u64, |size, (at, byte)| {
            let byte = if at == 0 { u64::from(*byte) & (0x7f >> width) } else { u64::from(*byte) };
            size << 8 | byte
        });
        let value = body.get(width + 1..)?.get(..usize::try_from(size).ok()?)?;
        rest = &body[width + 1 + value.len()..];
        Some((id, value))
    })
}

fn number(bytes: &[u8]) -> io::Result<u64> {
    if bytes.len() > 8 {
        return Err(broken("a number is too long"));
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(id: &[u8], body: &[u8]) -> Vec<u8> {
        let size = (body.len() as u64 | 1 << 56).to_be_bytes();
        [id, &size[..], body].concat()
    }

    fn stream(width: u8) -> Vec<u8> {
        let video = coded(&[0xE0], &[coded(&[0xB0], &[width]), coded(&[0xBA], &[2])].concat());
        let tracks = [
            coded(&[0xAE], &[coded(&[0xD7], &[1]), coded(&[0x83], &[1]), video].concat()),
            coded(&[0xAE], &[coded(&[0xD7], &[2]), coded(&[0x83], &[2])].concat()),
        ];
        let block = |track: u8, time: i16, data: &[u8]| coded(&[0xA3], &[&[0x80 | track], &time.to_be_bytes()[..], &[0x80], data].concat());
        [
            coded(&[0x1A, 0x45, 0xDF, 0xA3], b"head"),
            vec![0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            coded(&[0xEC], &[0; 300]),
            coded(&[0x16, 0x54, 0xAE, 0x6B], &tracks.concat()),
            vec![0x1F, 0x43, 0xB6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            coded(&[0xE7], &[0x03, 0xe8]),
            block(1, 0, &[7; 12]),
            block(3, 0, b"of no known track"),
            block(2, 20, &[1, 2, 3, 4]),
        ]
        .concat()
    }

    #[test]
    fn tracks_pictures_and_samples_come_out_with_their_times() {
        let bytes = stream(4);
        let mut reader = Reader::new(&bytes[..]);
        assert!(matches!(
            reader.element().unwrap(),
            Some(Element::Tracks(Tracks { picture: Some(Size { width: 4, height: 2 }), sound: true }))
        ));
        let Some(Element::Picture(time, frame)) = reader.element().unwrap() else { panic!("a picture") };
        assert_eq!((time.as_millis(), frame.data()), (1000, &[7; 12][..]));
        let Some(Element::Sound(time, samples)) = reader.element().unwrap() else { panic!("samples") };
        assert_eq!((time.as_millis(), &samples[..]), (1020, &[1, 2, 3, 4][..]));
        assert!(reader.element().unwrap().is_none());
    }

    #[test]
    fn whatever_is_cut_off_or_does_not_fit_is_an_error_and_never_more() {
        let whole = stream(4);
        for length in 0..whole.len() {
            let mut reader = Reader::new(&whole[..length]);
            while let Ok(Some(_)) = reader.element() {}
        }
        let other = stream(6);
        let mut reader = Reader::new(&other[..]);
        assert!(reader.element().is_ok() && reader.element().is_err(), "a picture of another size");
        let huge = [&[0x16, 0x54, 0xAE, 0x6B, 0x01, 0x10, 0, 0, 0, 0, 0, 0][..], &[0; 64]].concat();
        assert!(Reader::new(&huge[..]).element().is_err());
        for seed in 0..200u8 {
            let noise: Vec<u8> =
                whole.iter().enumerate().map(|(at, byte)| if at % 7 == seed as usize % 7 { byte ^ seed } else { *byte }).collect();
            let mut reader = Reader::new(&noise[..]);
            while let Ok(Some(_)) = reader.element() {}
        }
    }
}
