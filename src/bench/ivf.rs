//! IVF, the simplest of containers (a header of 32 bytes, then per picture its size, its time and its bytes): how clips are
//! kept. Pure. One picture per unit of time; a number that is missing is a picture that rate control left out.

use mixdown_codecs::{Size, VideoCodec};
use std::sync::Arc;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 12;
/// More than a clip ever has.
const MOST: u64 = 100_000;

/// Coded pictures by number.
pub type Pictures = Vec<Option<Arc<[u8]>>>;

fn name(codec: VideoCodec) -> [u8; 4] {
    match codec {
        VideoCodec::H264 => *b"H264",
        VideoCodec::Vp8 => *b"VP80",
    }
}

/// A whole file.
pub fn write(codec: VideoCodec, size: Size, fps: u32, pictures: &[Option<Arc<[u8]>>]) -> Vec<u8> {
    let mut out = b"DKIF\0\0\x20\0".to_vec();
    out.extend(name(codec));
    out.extend((size.width as u16).to_le_bytes());
    out.extend((size.height as u16).to_le_bytes());
    out.extend(fps.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out.extend((pictures.len() as u32).to_le_bytes());
    out.extend([0; 4]);
    for (n, data) in pictures.iter().enumerate().filter_map(|(n, picture)| Some((n, picture.as_ref()?))) {
        out.extend((data.len() as u32).to_le_bytes());
        out.extend((n as u64).to_le_bytes());
        out.extend(data.iter());
    }
    out
}

/// The pictures of a file of `codec`, as many as its header says; `None`: it is another file, or damaged.
pub fn read(file: &[u8], codec: VideoCodec) -> Option<Pictures> {
    if file.get(..4)? != b"DKIF" || file.get(8..12)? != name(codec) {
        return None;
    }
    let count = u64::from(number(file, 24)?);
    let (mut pictures, mut rest) = (vec![None; usize::try_from(count.min(MOST)).ok()?], file.get(HEADER..)?);
    while !rest.is_empty() {
        let length = number(rest, 0)? as usize;
        let at = u64::from(number(rest, 4)?) | u64::from(number(rest, 8)?) << 32;
        let end = FRAME_HEADER.checked_add(length)?;
        *pictures.get_mut(usize::try_from(at).ok()?)? = Some(Arc::from(rest.get(FRAME_HEADER..end)?));
        rest = rest.get(end..)?;
    }
    Some(pictures)
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_with_its_gaps_and_what_is_cut_off_is_refused() {
        let pictures: Pictures = vec![Some(Arc::from(&b"key"[..])), None, Some(Arc::from(&b"delta"[..])), None];
        let file = write(VideoCodec::Vp8, Size::new(640, 360), 30, &pictures);
        assert_eq!(read(&file, VideoCodec::Vp8), Some(pictures));
        assert_eq!(read(&file, VideoCodec::H264), None);
        for cut in 0..file.len() {
            // A cut between two pictures leaves a file of fewer.
            assert!(read(&file[..cut], VideoCodec::Vp8).is_none_or(|read| read.len() == 4), "{cut}");
        }
        assert_eq!(read(b"", VideoCodec::Vp8), None);
    }
}
