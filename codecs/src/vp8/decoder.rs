//! VP8 frames → gate → libvpx → I420 pictures.
//!
//! A picture that the library calls corrupted is never shown. After any failure the library's decoder
//! is thrown away and a new one begins at the next keyframe. VP8 frames carry no counter: that a whole
//! frame is missing must be noticed by whoever orders the packets, who then waits for a keyframe.

use crate::{
    DecodeError, FramePool, I420Frame, Size, VideoDecoder,
    frame::copy_plane,
    gate::{
        Limits,
        vp8::{Frame, parse},
    },
};
use std::{
    ffi::c_int,
    ptr::{null, null_mut},
    sync::Arc,
};
use vpx_sys::{
    VPX_DECODER_ABI_VERSION, vp8_dec_control_id, vpx_codec_control_, vpx_codec_ctx, vpx_codec_dec_cfg, vpx_codec_dec_init_ver,
    vpx_codec_decode, vpx_codec_destroy, vpx_codec_err_t, vpx_codec_get_frame, vpx_codec_vp8_dx, vpx_image_t,
};

/// Decodes the stream of one sender.
pub struct Decoder {
    limits: Limits,
    /// `None` until a keyframe, and after damage until the next one.
    library: Option<Library>,
    /// Of the last keyframe.
    size: Size,
}

impl Decoder {
    /// A decoder that refuses streams beyond `limits`.
    pub fn new(limits: Limits) -> Result<Self, DecodeError> {
        Ok(Self { limits, library: None, size: Size::new(0, 0) })
    }

    fn decode_admitted(&mut self, unit: &[u8], frame: Frame, pool: &mut FramePool) -> Result<Option<Arc<I420Frame>>, DecodeError> {
        if let Some(size) = frame.size
            && size != self.size
        {
            (self.size, self.library) = (size, None);
        }
        let library = match self.library.take() {
            Some(library) => self.library.insert(library),
            None if frame.keyframe => self.library.insert(Library::new()?),
            None => return Err(DecodeError::Damaged("no keyframe yet")),
        };
        let Some(image) = library.decode(unit)? else {
            return if frame.shown { Err(DecodeError::Damaged("no picture")) } else { Ok(None) };
        };
        if Size::new(image.d_w, image.d_h) != self.size {
            return Err(DecodeError::Failed("picture of another size than announced"));
        }
        copy(image, self.size, pool).map(Some)
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, unit: &[u8], pool: &mut FramePool) -> Result<Option<Arc<I420Frame>>, DecodeError> {
        let result = match parse(unit, self.limits) {
            Ok(frame) => self.decode_admitted(unit, frame, pool),
            Err(refusal) => Err(refusal.into()),
        };
        if result.is_err() {
            self.library = None;
        }
        result
    }
}

fn copy(image: &vpx_image_t, size: Size, pool: &mut FramePool) -> Result<Arc<I420Frame>, DecodeError> {
    let mut frame = pool.acquire(size);
    let Some(target) = Arc::get_mut(&mut frame) else { return Err(DecodeError::Failed("picture pool")) };
    let target = target.planes_mut();
    let sizes = [size, size.chroma(), size.chroma()];
    for (n, (plane, size)) in [target.y, target.u, target.v].into_iter().zip(sizes).enumerate() {
        let (source, stride) = (image.planes[n], image.stride[n].max(0) as usize);
        if source.is_null() || stride < size.width as usize {
            return Err(DecodeError::Failed("picture without planes"));
        }
        let length = stride * (size.height as usize - 1) + size.width as usize;
        // SAFETY: the library keeps the image until the next call on its context, which the borrow of `image` excludes;
        // rows are `stride` apart, and the last one is only read for its width.
        copy_plane(unsafe { std::slice::from_raw_parts(source, length) }, stride, plane, size);
    }
    Ok(pool.share(frame))
}

/// One initialised context of the library.
struct Library {
    context: Box<vpx_codec_ctx>,
}

// SAFETY: the context is owned by this struct alone, uses no thread-local state, and is only ever
// called through `&mut self`; with one thread it starts none.
unsafe impl Send for Library {}

impl Library {
    fn new() -> Result<Self, DecodeError> {
        let mut context = Box::<vpx_codec_ctx>::default();
        let settings = vpx_codec_dec_cfg { threads: 1, w: 0, h: 0 };
        // SAFETY: the context is zeroed as the library wants it, the settings are only read during the call.
        let result = unsafe { vpx_codec_dec_init_ver(&mut *context, vpx_codec_vp8_dx(), &settings, 0, VPX_DECODER_ABI_VERSION as c_int) };
        // A context that failed to initialise has nothing to destroy.
        if result == vpx_codec_err_t::VPX_CODEC_OK { Ok(Self { context }) } else { Err(DecodeError::Failed("cannot initialise")) }
    }

    /// `Ok(None)`: the frame is not meant to be shown.
    fn decode(&mut self, unit: &[u8]) -> Result<Option<&vpx_image_t>, DecodeError> {
        // SAFETY: the context is initialised; `unit` is readable for its length (at most `MAX_UNIT`) and not kept.
        let result = unsafe { vpx_codec_decode(&mut *self.context, unit.as_ptr(), unit.len() as u32, null_mut(), 0) };
        if result != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(DecodeError::Damaged("frame damaged"));
        }
        let mut corrupted: c_int = 0;
        let question = vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as c_int;
        // SAFETY: the context is initialised; this control writes one int.
        let answer = unsafe { vpx_codec_control_(&mut *self.context, question, &raw mut corrupted) };
        if answer != vpx_codec_err_t::VPX_CODEC_OK || corrupted != 0 {
            return Err(DecodeError::Damaged("picture corrupted"));
        }
        let mut iterator = null();
        // SAFETY: the context is initialised; the image, if there is one, lives until the next call on the context, which
        // the returned borrow of `self` excludes.
        Ok(unsafe { vpx_codec_get_frame(&mut *self.context, &mut iterator).as_ref() })
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: initialised once, destroyed once, never used again.
        unsafe { vpx_codec_destroy(&mut *self.context) };
    }
}
