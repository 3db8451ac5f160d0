//! H.264 (Annex B access units): which NAL units reach the decoder, and with which parameter sets.
//!
//! Slices of Baseline without flexible ordering, Main and High, 4:2:0, 8 bits, progressive, I and P, pass.
//! Parameter sets are parsed, kept, and written in front of every IDR and wherever a picture brings
//! a new picture parameter set; supplemental information, delimiters, filler and scalable extensions
//! are stripped; everything else is refused. A sequence parameter set takes effect at an IDR and nowhere else.

use super::{
    Header, Limits, MAX_UNIT, Refusal,
    bits::Bits,
    sps::{Pps, Sps},
};
use crate::Size;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// NAL units in one access unit.
const MAX_NALS: usize = 1024;
/// Parameter sets remembered per stream; browsers send one of each.
const MAX_SPS: usize = 8;
const MAX_PPS: usize = 32;
/// Parameter sets accepted in one access unit.
const MAX_SETS_PER_UNIT: usize = 16;
/// Bytes of one parameter set: scaling lists and hypothetical decoders included, far more than real ones have.
const MAX_SET_BYTES: usize = 1024;

const SLICE: u8 = 1;
const SLICE_IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

/// What is to be done with a NAL unit of each type (table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Slice { idr: bool },
    Sps,
    Pps,
    Strip,
    Refuse,
}

fn fate(kind: u8) -> Fate {
    match kind {
        SLICE => Fate::Slice { idr: false },
        SLICE_IDR => Fate::Slice { idr: true },
        SPS => Fate::Sps,
        PPS => Fate::Pps,
        // SEI, delimiter, ends, filler; extensions of SPS and scalable layers; auxiliary pictures; reserved.
        6 | 9..=23 => Fate::Strip,
        // Data partitions (Extended profile); 0 and 24–31 are RTP packaging that leaked through.
        _ => Fate::Refuse,
    }
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros.
fn nal_units(unit: &[u8]) -> Result<impl Iterator<Item = Result<(u8, &[u8]), Refusal>>, Refusal> {
    if unit.len() > MAX_UNIT {
        return Err(Refusal::TooLarge);
    }
    let (before, first) = split_at_start_code(unit).ok_or(Refusal::Malformed)?;
    if before.iter().any(|&byte| byte != 0) {
        return Err(Refusal::Malformed);
    }
    let mut rest = Some(first);
    let units = std::iter::from_fn(move || {
        let (nal, after) = match split_at_start_code(rest?) {
            Some((nal, after)) => (nal, Some(after)),
            None => (rest?, None),
        };
        rest = after;
        Some(nal_header(nal))
    });
    Ok(units.take(MAX_NALS + 1).enumerate().map(|(n, nal)| if n == MAX_NALS { Err(Refusal::Malformed) } else { nal }))
}

/// What stands before and after the first 00 00 01.
fn split_at_start_code(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while let Some(&[a, b, c]) = bytes.get(at..at + 3).and_then(|three| three.first_chunk()) {
        match (a, b, c) {
            (0, 0, 1) => return Some((&bytes[..at], &bytes[at + 3..])),
            (_, _, 2..) => at += 3,
            _ => at += 1,
        }
    }
    None
}

fn nal_header(nal: &[u8]) -> Result<(u8, &[u8]), Refusal> {
    let zeros = nal.iter().rev().take_while(|&&byte| byte == 0).count();
    let nal = &nal[..nal.len() - zeros];
    let &header = nal.first().ok_or(Refusal::Truncated)?;
    if header & 0x80 != 0 {
        return Err(Refusal::Malformed);
    }
    Ok((header & 0x1f, nal))
}

/// profile_idc (H.264 §A.2.1).
const BASELINE: u8 = 66;

pub(super) fn inspect(unit: &[u8], limits: Limits) -> Result<Header, Refusal> {
    let mut header = Header { keyframe: false, size: None, baseline: true };
    let mut nals = 0;
    for nal in nal_units(unit)? {
        let (kind, nal) = nal?;
        nals += 1;
        match fate(kind) {
            Fate::Slice { idr } => header.keyframe |= idr,
            Fate::Sps => {
                let sps = Sps::parse(&nal[1..], limits)?;
                header.size = Some(sps.size);
                header.baseline &= sps.profile == BASELINE;
            }
            Fate::Pps => drop(Pps::parse(&nal[1..])?),
            Fate::Strip => {}
            Fate::Refuse => return Err(Refusal::Unsupported),
        }
    }
    if nals == 0 { Err(Refusal::Truncated) } else { Ok(header) }
}

/// A parameter set as parsed and as sent.
#[derive(Debug)]
struct Kept<T> {
    set: T,
    nal: Vec<u8>,
    /// The decoder has not been given it yet.
    fresh: bool,
}

/// What [`Stream::admit`] let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The picture is an IDR and `out` begins with its parameter sets.
    pub keyframe: bool,
    /// A sequence other than that of the last admitted picture begins: use a new decoder.
    pub new_sequence: bool,
    /// Display size of the picture.
    pub size: Size,
    /// A profile in which decoders may hold pictures back to reorder them.
    pub may_delay: bool,
}

/// The gate of one sender's stream: remembers its parameter sets.
#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    sps: Vec<Kept<Sps>>,
    pps: Vec<Kept<Pps>>,
    /// The parameter set of the sequence that is being decoded, while it is unchanged.
    active: Option<Sps>,
    /// frame_num of the last reference picture.
    frame_num: u32,
    /// Why the last parameter set was refused: the pictures that need it are refused for the same reason.
    refused: Option<Refusal>,
}

/// What one picture's slices agree on.
#[derive(Debug, Clone, Copy)]
struct Picture {
    idr: bool,
    reference: bool,
    sps: Sps,
    frame_num: u32,
}

impl Stream {
    pub fn new(limits: Limits) -> Self {
        Self { limits, sps: Vec::new(), pps: Vec::new(), active: None, frame_num: 0, refused: None }
    }

    /// Checks one access unit and writes what a decoder may have of it to `out` (Annex B).
    /// `Ok(None)`: it holds no picture; its parameter sets are remembered. `Err`: drop the unit; the decoder
    /// has missed a picture.
    pub fn admit(&mut self, unit: &[u8], out: &mut Vec<u8>) -> Result<Option<Admitted>, Refusal> {
        out.clear();
        let Some(picture) = self.read(unit)? else { return Ok(None) };
        let new_sequence = self.active != Some(picture.sps);
        if !picture.idr && (new_sequence || self.misses_a_picture(&picture)) {
            return Err(Refusal::Malformed);
        }
        self.active = Some(picture.sps);
        if picture.reference {
            self.frame_num = picture.frame_num;
        }
        self.write(unit, picture, out)?;
        Ok(Some(Admitted { keyframe: picture.idr, new_sequence, size: picture.sps.size, may_delay: picture.sps.profile != BASELINE }))
    }

    /// Parses all of the unit, remembers its parameter sets.
    fn read(&mut self, unit: &[u8]) -> Result<Option<Picture>, Refusal> {
        let mut picture: Option<Picture> = None;
        let mut sets = 0;
        for nal in nal_units(unit)? {
            let (kind, nal) = nal?;
            match fate(kind) {
                Fate::Slice { idr } => {
                    let slice = self.slice(nal, idr)?;
                    if picture.is_some_and(|first| (first.idr, first.sps.id) != (idr, slice.sps.id)) {
                        return Err(Refusal::Malformed);
                    }
                    picture = picture.or(Some(slice));
                }
                Fate::Sps | Fate::Pps => self.keep_set(kind, nal)?,
                Fate::Strip => continue,
                Fate::Refuse => return Err(Refusal::Unsupported),
            }
            sets += usize::from(matches!(kind, SPS | PPS));
            if sets > MAX_SETS_PER_UNIT {
                return Err(Refusal::Unsupported);
            }
        }
        Ok(picture)
    }

    fn keep_set(&mut self, kind: u8, nal: &[u8]) -> Result<(), Refusal> {
        let kept = if kind == SPS { self.keep_sps(nal) } else { self.keep_pps(nal) };
        self.refused = kept.err();
        kept
    }

    fn keep_sps(&mut self, nal: &[u8]) -> Result<(), Refusal> {
        let set = Sps::parse(&nal[1..], self.limits)?;
        let known = self.sps.iter_mut().find(|kept| kept.set.id == set.id);
        let changed = keep(known, set, nal)?;
        if changed && self.active.is_some_and(|active| active.id == set.id) {
            self.active = None;
        }
        if changed && !self.sps.iter().any(|kept| kept.set.id == set.id) {
            if self.sps.len() == MAX_SPS {
                return Err(Refusal::Unsupported);
            }
            self.sps.push(Kept { set, nal: nal.to_vec(), fresh: true });
        }
        Ok(())
    }

    fn keep_pps(&mut self, nal: &[u8]) -> Result<(), Refusal> {
        let set = Pps::parse(&nal[1..])?;
        if !self.sps.iter().any(|kept| kept.set.id == set.sps) {
            return Err(Refusal::Malformed);
        }
        let known = self.pps.iter_mut().find(|kept| kept.set.id == set.id);
        if keep(known, set, nal)? && !self.pps.iter().any(|kept| kept.set.id == set.id) {
            if self.pps.len() == MAX_PPS {
                return Err(Refusal::Unsupported);
            }
            self.pps.push(Kept { set, nal: nal.to_vec(), fresh: true });
        }
        Ok(())
    }

    /// Reads a slice header (7.3.3) as far as frame_num.
    fn slice(&self, nal: &[u8], idr: bool) -> Result<Picture, Refusal> {
        let reference = nal[0] & 0x60 != 0;
        let mut bits = Bits::new(&nal[1..]);
        let (first, kind, pps) = (bits.ue()?, bits.ue_up_to(9)?, bits.ue_up_to(255)?);
        match (kind % 5, idr) {
            (2, _) | (0, false) => {}
            (0, true) => return Err(Refusal::Malformed),
            _ => return Err(Refusal::Unsupported), // B, SP, SI
        }
        let unknown = self.refused.unwrap_or(Refusal::Malformed);
        let pps = self.pps.iter().find(|kept| u32::from(kept.set.id) == pps).ok_or(unknown)?;
        let sps = self.sps.iter().find(|kept| kept.set.id == pps.set.sps).ok_or(unknown)?.set;
        if first >= sps.macroblocks || (idr && !reference) {
            return Err(Refusal::Malformed);
        }
        let frame_num = bits.bits(sps.frame_num_bits)?;
        Ok(Picture { idr, reference, sps, frame_num })
    }

    /// Streams that allow gaps in frame_num hide lost pictures from the decoder; no sender of ours leaves any out.
    fn misses_a_picture(&self, picture: &Picture) -> bool {
        let next = (self.frame_num + 1) % (1 << picture.sps.frame_num_bits);
        picture.sps.gaps_allowed && picture.frame_num != self.frame_num && picture.frame_num != next
    }

    fn write(&mut self, unit: &[u8], picture: Picture, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let id = picture.sps.id;
        if picture.idr {
            self.sps.iter().filter(|kept| kept.set.id == id).for_each(|kept| append(out, &kept.nal));
        }
        for kept in self.pps.iter_mut().filter(|kept| kept.set.sps == id) {
            if picture.idr || kept.fresh {
                append(out, &kept.nal);
                kept.fresh = false;
            }
        }
        for nal in nal_units(unit)? {
            let (kind, nal) = nal?;
            if matches!(fate(kind), Fate::Slice { .. }) {
                append(out, nal);
            }
        }
        Ok(())
    }
}

/// Replaces a remembered set by `nal` and says whether anything changed (or nothing was known).
fn keep<T>(known: Option<&mut Kept<T>>, set: T, nal: &[u8]) -> Result<bool, Refusal> {
    if nal.len() > MAX_SET_BYTES {
        return Err(Refusal::Unsupported);
    }
    match known {
        Some(kept) if kept.nal == nal => Ok(false),
        Some(kept) => {
            kept.nal.clear();
            kept.nal.extend_from_slice(nal);
            (kept.set, kept.fresh) = (set, true);
            Ok(true)
        }
        None => Ok(true),
    }
}

fn append(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}
