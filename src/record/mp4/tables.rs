//! `ftyp` and `moov`, with sample tables or without.

use super::{AUDIO_ID, Error, Kind, Ticks, VIDEO_ID, VIDEO_SCALE, entry};
use shiguredo_mp4::boxes::{
    Brand, Co64Box, DinfBox, EdtsBox, ElstBox, ElstEntry, FtypBox, HdlrBox, MdhdBox, MdiaBox, MediaHeader, MinfBox, MoovBox, MvexBox,
    MvhdBox, SampleEntry, SmhdBox, StblBox, StcoBox, StscBox, StscEntry, StsdBox, StssBox, StszBox, SttsBox, SttsEntry, TkhdBox, TrakBox,
    TrexBox, VmhdBox,
};
use shiguredo_mp4::{Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags};
use std::num::NonZeroU32;
use std::time::SystemTime;

/// Of the movie header: edit lists and track durations count in it.
const MOVIE_SCALE: u32 = VIDEO_SCALE;

/// Where the samples of one track are, and when. All empty in the head of a fragmented file.
pub struct Track {
    pub kind: Kind,
    pub entry: SampleEntry,
    /// How far its pictures must be turned clockwise to stand upright.
    pub quarter_turns: u8,
    /// When the first sample begins, and how long all of them last, in units of the track.
    pub start: u64,
    pub duration: u64,
    pub deltas: Vec<SttsEntry>,
    pub chunks: Vec<StscEntry>,
    pub offsets: Offsets,
    pub sizes: Vec<u32>,
    /// Numbers of the keyframes from 1; `None`: all of them.
    pub keyframes: Option<Vec<NonZeroU32>>,
}

pub type Offsets = Either<StcoBox, Co64Box>;

impl Track {
    pub fn empty(kind: Kind, entry: SampleEntry) -> Self {
        Self {
            kind,
            entry,
            quarter_turns: 0,
            start: 0,
            duration: 0,
            deltas: Vec::new(),
            chunks: Vec::new(),
            offsets: Either::A(StcoBox { chunk_offsets: Vec::new() }),
            sizes: Vec::new(),
            keyframes: None,
        }
    }

    fn movie_time(&self, units: u64) -> u64 {
        Ticks::of(self.kind, units).units(Kind::Video)
    }

    fn end(&self) -> u64 {
        self.movie_time(self.start.saturating_add(self.duration))
    }
}

/// Whether the samples' places are in fragments that follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Fragmented,
    Progressive,
}

pub fn file_type(form: Form) -> Result<Vec<u8>, Error> {
    let (major_brand, compatible_brands) = match form {
        Form::Fragmented => (Brand::ISO5, vec![Brand::ISO5, Brand::ISO6, Brand::ISOM, Brand::MP41]),
        Form::Progressive => (Brand::ISOM, vec![Brand::ISOM, Brand::ISO2, Brand::MP41]),
    };
    Ok(FtypBox { major_brand, minor_version: 512, compatible_brands }.encode_to_vec()?)
}

pub fn movie(tracks: Vec<Track>, created: SystemTime, form: Form) -> Result<MoovBox, Error> {
    let created = Mp4FileTime::from_unix_time(created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let duration = tracks.iter().map(Track::end).max().unwrap_or_default();
    let trex_boxes = tracks.iter().map(|track| track_defaults(track.kind)).collect();
    let mvex_box = (form == Form::Fragmented).then_some(MvexBox { mehd_box: None, trex_boxes, unknown_boxes: Vec::new() });
    let trak_boxes = tracks.into_iter().map(|track| track_box(track, created)).collect::<Result<_, _>>()?;
    let mvhd_box = MvhdBox {
        creation_time: created,
        modification_time: created,
        timescale: non_zero(MOVIE_SCALE),
        duration,
        rate: MvhdBox::DEFAULT_RATE,
        volume: MvhdBox::DEFAULT_VOLUME,
        matrix: MvhdBox::DEFAULT_MATRIX,
        next_track_id: AUDIO_ID + 1,
    };
    Ok(MoovBox { mvhd_box, trak_boxes, mvex_box, unknown_boxes: Vec::new() })
}

pub fn id(kind: Kind) -> u32 {
    match kind {
        Kind::Video => VIDEO_ID,
        Kind::Audio => AUDIO_ID,
    }
}

fn non_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn track_defaults(kind: Kind) -> TrexBox {
    TrexBox {
        track_id: id(kind),
        default_sample_description_index: 1,
        default_sample_duration: 0,
        default_sample_size: 0,
        default_sample_flags: SampleFlags::empty(),
    }
}

fn track_box(track: Track, created: Mp4FileTime) -> Result<TrakBox, Error> {
    let (width, height) = entry::size(&track.entry).unwrap_or_default();
    let side = |side: u16| i16::try_from(side).map(|side| FixedPointNumber::new(side, 0)).map_err(|_| Error::Tables("a side above 32767"));
    let video = track.kind == Kind::Video;
    let tkhd_box = TkhdBox {
        flag_track_enabled: true,
        flag_track_in_movie: true,
        flag_track_in_preview: false,
        flag_track_size_is_aspect_ratio: false,
        creation_time: created,
        modification_time: created,
        track_id: id(track.kind),
        duration: track.end(),
        layer: TkhdBox::DEFAULT_LAYER,
        alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
        volume: if video { TkhdBox::DEFAULT_VIDEO_VOLUME } else { TkhdBox::DEFAULT_AUDIO_VOLUME },
        matrix: matrix(track.quarter_turns, width, height),
        width: side(width)?,
        height: side(height)?,
    };
    let edts_box = (track.start > 0).then(|| late_start(&track));
    Ok(TrakBox { tkhd_box, edts_box, mdia_box: media_box(track, created), unknown_boxes: Vec::new() })
}

/// 14496-12 §8.3.2: 16.16 but for the last column, which is 2.30.
fn matrix(quarter_turns: u8, width: u16, height: u16) -> [i32; 9] {
    const ONE: i32 = 1 << 16;
    let (width, height) = (i32::from(width) << 16, i32::from(height) << 16);
    let [a, b, c, d, x, y] = match quarter_turns & 3 {
        0 => [ONE, 0, 0, ONE, 0, 0],
        1 => [0, ONE, -ONE, 0, height, 0],
        2 => [-ONE, 0, 0, -ONE, width, height],
        _ => [0, -ONE, ONE, 0, 0, width],
    };
    [a, b, 0, c, d, 0, x, y, 1 << 30]
}

/// An edit list that shows nothing until the track begins.
fn late_start(track: &Track) -> EdtsBox {
    let entry = |edit_duration, media_time| ElstEntry { edit_duration, media_time, media_rate: FixedPointNumber::new(1, 0) };
    let entries = vec![entry(track.movie_time(track.start), -1), entry(track.movie_time(track.duration), 0)];
    EdtsBox { elst_box: Some(ElstBox { entries }), unknown_boxes: Vec::new() }
}

fn media_box(track: Track, created: Mp4FileTime) -> MdiaBox {
    let (handler_type, media_header) = match track.kind {
        Kind::Video => (HdlrBox::HANDLER_TYPE_VIDE, MediaHeader::Vmhd(VmhdBox::default())),
        Kind::Audio => (HdlrBox::HANDLER_TYPE_SOUN, MediaHeader::Smhd(SmhdBox::default())),
    };
    let mdhd_box = MdhdBox {
        creation_time: created,
        modification_time: created,
        timescale: non_zero(track.kind.scale()),
        duration: track.duration,
        language: LanguageCode::UNDEFINED,
    };
    let stbl_box = StblBox {
        stsd_box: StsdBox { entries: vec![track.entry] },
        stts_box: SttsBox { entries: track.deltas },
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox { entries: track.chunks },
        stsz_box: StszBox::Variable { entry_sizes: track.sizes },
        stco_or_co64_box: track.offsets,
        stss_box: track.keyframes.map(|sample_numbers| StssBox { sample_numbers }),
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    };
    let minf_box = MinfBox { media_header: Some(media_header), dinf_box: DinfBox::LOCAL_FILE, stbl_box, unknown_boxes: Vec::new() };
    MdiaBox { mdhd_box, hdlr_box: HdlrBox { handler_type, name: vec![0] }, minf_box, unknown_boxes: Vec::new() }
}
