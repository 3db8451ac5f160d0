//! Access units → gate → OpenH264 → I420 pictures.
//!
//! Error concealment is off: a picture that did not decode completely and from complete references
//! is never shown. After any failure the library's decoder is thrown away and a new one begins at the
//! next IDR, so no state outlives damage. The same happens where a new sequence begins.
//! Main and High may hold one picture back (they could reorder); Baseline shows each at once.

use crate::{
    DecodeError, FramePool, I420Frame, Size, VideoDecoder,
    frame::copy_plane,
    gate::{
        Limits,
        h264::{Admitted, Stream},
    },
};
use openh264_sys2::{
    DECODER_OPTION, DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER, DECODER_OPTION_TRACE_LEVEL, ERROR_CON_DISABLE, ISVCDecoder,
    ISVCDecoderVtbl, SBufferInfo, SDecodingParam, VIDEO_BITSTREAM_AVC, WELS_LOG_QUIET, dsErrorFree, source::APILoader,
};
use std::{ffi::c_void, ptr::null_mut, sync::Arc};

/// Decodes the stream of one sender.
pub struct Decoder {
    gate: Stream,
    /// `None` until an IDR, and after damage until the next one.
    library: Option<Library>,
    /// What the gate admitted of the current unit.
    admitted: Vec<u8>,
}

impl Decoder {
    /// A decoder that refuses streams beyond `limits`.
    pub fn new(limits: Limits) -> Result<Self, DecodeError> {
        Ok(Self { gate: Stream::new(limits), library: None, admitted: Vec::new() })
    }

    fn decode_admitted(&mut self, picture: Admitted, pool: &mut FramePool) -> Result<Option<Arc<I420Frame>>, DecodeError> {
        if picture.new_sequence {
            self.library = None;
        }
        if self.library.is_none() && !picture.keyframe {
            return Err(DecodeError::Damaged("no keyframe yet"));
        }
        let library = match self.library.take() {
            Some(library) => self.library.insert(library),
            None => self.library.insert(Library::new()?),
        };
        library.decode(&self.admitted, picture, pool)
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, unit: &[u8], pool: &mut FramePool) -> Result<Option<Arc<I420Frame>>, DecodeError> {
        let result = match self.gate.admit(unit, &mut self.admitted) {
            Ok(None) => return Ok(None),
            Ok(Some(picture)) => self.decode_admitted(picture, pool),
            Err(refusal) => Err(refusal.into()),
        };
        if result.is_err() {
            self.library = None;
        }
        result
    }
}

/// One instance of the library's decoder, initialised.
struct Library {
    /// Valid and exclusively owned until drop.
    object: *mut ISVCDecoder,
}

// SAFETY: the object is owned by this struct alone, uses no thread-local state, and is only ever
// called through `&mut self`; with zero decoder threads it starts none.
unsafe impl Send for Library {}

impl Library {
    fn new() -> Result<Self, DecodeError> {
        let mut object: *mut ISVCDecoder = null_mut();
        // SAFETY: writes a pointer to a new object, or leaves null.
        let created = unsafe { APILoader::WelsCreateDecoder(&mut object) };
        if created != 0 || object.is_null() {
            return Err(DecodeError::Failed("cannot create"));
        }
        let mut library = Self { object };
        let mut quiet = WELS_LOG_QUIET as u32;
        library.set(DECODER_OPTION_TRACE_LEVEL, &mut quiet)?;
        let mut settings = SDecodingParam { eEcActiveIdc: ERROR_CON_DISABLE, ..SDecodingParam::default() };
        settings.sVideoProperty.size = size_of_val(&settings.sVideoProperty) as u32;
        settings.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
        let initialize = library.table().Initialize.ok_or(DecodeError::Failed("no Initialize"))?;
        // SAFETY: the object is live; `settings` outlives the call, which copies it.
        match unsafe { initialize(library.object, &settings) } {
            0 => Ok(library),
            _ => Err(DecodeError::Failed("cannot initialise")),
        }
    }

    fn table(&self) -> &ISVCDecoderVtbl {
        // SAFETY: `object` is live and begins with the pointer to its constant table of functions.
        unsafe { &**self.object }
    }

    /// `value` must be of the type that the option takes.
    fn set(&mut self, option: DECODER_OPTION, value: &mut u32) -> Result<(), DecodeError> {
        let set = self.table().SetOption.ok_or(DecodeError::Failed("no SetOption"))?;
        // SAFETY: the object is live; the options used here read one 32-bit integer.
        match unsafe { set(self.object, option, std::ptr::from_mut(value).cast::<c_void>()) } {
            0 => Ok(()),
            _ => Err(DecodeError::Failed("option refused")),
        }
    }

    /// Pictures that are decoded and wait for their turn.
    fn held_back(&mut self) -> Result<i32, DecodeError> {
        let mut count = 0i32;
        let get = self.table().GetOption.ok_or(DecodeError::Failed("no GetOption"))?;
        let option = DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER;
        // SAFETY: the object is live; this option writes one 32-bit integer.
        unsafe { get(self.object, option, std::ptr::from_mut(&mut count).cast::<c_void>()) };
        Ok(count)
    }

    fn decode(&mut self, unit: &[u8], picture: Admitted, pool: &mut FramePool) -> Result<Option<Arc<I420Frame>>, DecodeError> {
        let decode = self.table().DecodeFrameNoDelay.ok_or(DecodeError::Failed("no DecodeFrameNoDelay"))?;
        let (mut planes, mut info) = ([null_mut::<u8>(); 3], SBufferInfo::default());
        // SAFETY: the object is live; `unit` is readable for its length (at most `MAX_UNIT`, which fits an i32) and is
        // copied by the library; `planes` has the three places that it writes.
        let state = unsafe { decode(self.object, unit.as_ptr(), unit.len() as i32, planes.as_mut_ptr(), &mut info) };
        if state != dsErrorFree {
            return Err(DecodeError::Damaged("picture damaged or its references missing"));
        }
        if info.iBufferStatus != 1 || planes.contains(&null_mut()) {
            let delayed = picture.may_delay && self.held_back()? > 0;
            return if delayed { Ok(None) } else { Err(DecodeError::Damaged("picture incomplete")) };
        }
        // SAFETY: with iBufferStatus 1 the union holds the description of a picture in memory, its only variant.
        let layout = unsafe { info.UsrData.sSystemBuffer };
        let size = Size::new(layout.iWidth.max(0) as u32, layout.iHeight.max(0) as u32);
        let [y_stride, uv_stride] = layout.iStride.map(|stride| stride.max(0) as usize);
        if size != picture.size || y_stride < size.width as usize || uv_stride < size.chroma().width as usize {
            return Err(DecodeError::Failed("picture of another size than announced"));
        }
        let mut frame = pool.acquire(size);
        let Some(target) = Arc::get_mut(&mut frame) else { return Err(DecodeError::Failed("picture pool")) };
        let target = target.planes_mut();
        let sources = [(planes[0], y_stride, size), (planes[1], uv_stride, size.chroma()), (planes[2], uv_stride, size.chroma())];
        for ((source, stride, size), plane) in sources.into_iter().zip([target.y, target.u, target.v]) {
            let length = stride * (size.height as usize - 1) + size.width as usize;
            // SAFETY: the library keeps the picture until the next call on this object; rows are `stride` apart,
            // and the last one is only read for its width.
            let source = unsafe { std::slice::from_raw_parts(source, length) };
            copy_plane(source, stride, plane, size);
        }
        Ok(Some(pool.share(frame)))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Some(uninitialize) = self.table().Uninitialize {
            // SAFETY: the object is live; calling this before a successful Initialize is allowed too.
            unsafe { uninitialize(self.object) };
        }
        // SAFETY: created by WelsCreateDecoder, destroyed once, never used again.
        unsafe { APILoader::WelsDestroyDecoder(self.object) };
    }
}
