//! I420 pictures → libvpx → VP8 frames.
//!
//! Real-time, constant bitrate, one thread, one token partition, a keyframe only where it is forced.
//! Rate control may skip pictures. Only the rates change on a live encoder, never the size: a change of
//! size on a running libvpx encoder has been a memory-safety fault before. With two temporal layers every second
//! picture changes no buffer and no probability, so that nothing refers to it.

use crate::video::BASE_SHARE;
use crate::{EncodeError, EncodedPicture, EncoderConfig, I420Frame, Intra, Size, VideoEncoder};
use std::{
    ffi::{c_int, c_ulong},
    mem::MaybeUninit,
    ptr::null,
    sync::Arc,
};
use vpx_sys::{
    VP8_EFLAG_NO_REF_ARF, VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_UPD_ARF, VP8_EFLAG_NO_UPD_ENTROPY, VP8_EFLAG_NO_UPD_GF, VP8_EFLAG_NO_UPD_LAST,
    VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION, VPX_FRAME_IS_KEY, vp8e_enc_control_id, vpx_codec_control_, vpx_codec_ctx,
    vpx_codec_cx_pkt_kind, vpx_codec_destroy, vpx_codec_enc_cfg, vpx_codec_enc_config_default, vpx_codec_enc_config_set,
    vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t, vpx_codec_get_cx_data, vpx_codec_vp8_cx, vpx_enc_pass, vpx_image_t,
    vpx_img_fmt_t, vpx_img_wrap, vpx_kf_mode, vpx_rc_mode,
};

const MIN_SIDE: u32 = 16;
const MAX_SIDE: u32 = 4096;
const MIN_BITRATE: u32 = 10_000;
const MAX_BITRATE: u32 = 50_000_000;
const MAX_FPS: u32 = 60;
/// Speed of the real-time mode: negative keeps it constant, −16 is fastest.
const SPEED: c_int = -12;
/// Blocks that differ less than this from the last picture are not coded again. At 1 a still 640 × 360 picture keeps
/// costing 22 kB/s, at 500 it costs 1.2; moving pictures lose at most 0.2 dB, and slow ones a quarter or more of their CPU time.
const STATIC_THRESHOLD: c_int = 500;
/// A keyframe may take this many per cent of the bits of a mean frame.
const MAX_INTRA_PERCENT: c_int = 600;

/// Layer 0 refers to the layer 0 before and replaces it …
const BASE: u32 = VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF;
/// … and layer 1 refers to it and leaves no trace.
const UPPER: u32 = BASE | VP8_EFLAG_NO_UPD_LAST | VP8_EFLAG_NO_UPD_ENTROPY;

/// Encodes one rendition.
pub struct Encoder {
    config: EncoderConfig,
    library: Library,
    /// Time of the first picture, and of the last one since then: the library wants growing times from 0.
    epoch_ms: Option<u64>,
    last_ms: i64,
}

impl Encoder {
    /// An encoder whose first picture is a keyframe. Sides even, 16 to 4096; 1 to 60 pictures per second; 10 kb/s to 50 Mb/s.
    pub fn new(config: EncoderConfig) -> Result<Self, EncodeError> {
        let Size { width, height } = config.size;
        if config.size != config.size.even() || width.min(height) < MIN_SIDE || width.max(height) > MAX_SIDE {
            return Err(EncodeError::Settings("size"));
        }
        check_rate(config.bitrate_bps, config.fps)?;
        Ok(Self { config, library: Library::new(&config)?, epoch_ms: None, last_ms: -1 })
    }
}

impl VideoEncoder for Encoder {
    fn encode(&mut self, picture: &I420Frame, time_ms: u64, intra: Intra) -> Result<Option<EncodedPicture>, EncodeError> {
        if picture.size() != self.config.size {
            return Err(EncodeError::Size { got: picture.size(), wanted: self.config.size });
        }
        let since = time_ms.saturating_sub(*self.epoch_ms.get_or_insert(time_ms));
        self.last_ms = i64::try_from(since).unwrap_or(i64::MAX).max(self.last_ms + 1);
        let duration = (1000 / self.config.fps).max(1);
        self.library.encode(picture, self.last_ms, duration, intra)
    }

    fn set_rate(&mut self, bitrate_bps: u32, fps: u32) -> Result<(), EncodeError> {
        check_rate(bitrate_bps, fps)?;
        // The frame rate follows from the times of the pictures.
        self.config.fps = fps;
        if bitrate_bps != self.config.bitrate_bps {
            self.library.set_bitrate(bitrate_bps)?;
            self.config.bitrate_bps = bitrate_bps;
        }
        Ok(())
    }
}

fn check_rate(bitrate_bps: u32, fps: u32) -> Result<(), EncodeError> {
    if !(1..=MAX_FPS).contains(&fps) {
        return Err(EncodeError::Settings("frame rate"));
    }
    if !(MIN_BITRATE..=MAX_BITRATE).contains(&bitrate_bps) {
        return Err(EncodeError::Settings("bitrate"));
    }
    Ok(())
}

/// One initialised context of the library.
struct Library {
    context: Box<vpx_codec_ctx>,
    settings: vpx_codec_enc_cfg,
    /// Of the next picture, where there are layers.
    layer: u8,
    /// Nothing has been encoded: the first picture is a keyframe, which takes no flags of a layer.
    fresh: bool,
}

// SAFETY: the context is owned by this struct alone, uses no thread-local state, and is only ever
// called through `&mut self`; with one thread it starts none. The settings hold no live pointers.
unsafe impl Send for Library {}

impl Library {
    fn new(config: &EncoderConfig) -> Result<Self, EncodeError> {
        let settings = settings(config)?;
        let mut context = Box::<vpx_codec_ctx>::default();
        // SAFETY: the context is zeroed as the library wants it; the settings are copied during the call.
        let result = unsafe { vpx_codec_enc_init_ver(&mut *context, vpx_codec_vp8_cx(), &settings, 0, VPX_ENCODER_ABI_VERSION as c_int) };
        if result != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(EncodeError::Settings("refused by the library"));
        }
        let mut library = Self { context, settings, layer: 0, fresh: true };
        for (control, value) in [
            (vp8e_enc_control_id::VP8E_SET_CPUUSED, SPEED),
            (vp8e_enc_control_id::VP8E_SET_STATIC_THRESHOLD, STATIC_THRESHOLD),
            (vp8e_enc_control_id::VP8E_SET_TOKEN_PARTITIONS, 0),
            (vp8e_enc_control_id::VP8E_SET_NOISE_SENSITIVITY, 0),
            (vp8e_enc_control_id::VP8E_SET_MAX_INTRA_BITRATE_PCT, MAX_INTRA_PERCENT),
            (vp8e_enc_control_id::VP8E_SET_SCREEN_CONTENT_MODE, c_int::from(config.screen)),
        ] {
            // SAFETY: the context is initialised; each of these controls takes one int.
            let result = unsafe { vpx_codec_control_(&mut *library.context, control as c_int, value) };
            if result != vpx_codec_err_t::VPX_CODEC_OK {
                return Err(EncodeError::Settings("control refused"));
            }
        }
        Ok(library)
    }

    fn set_bitrate(&mut self, bitrate_bps: u32) -> Result<(), EncodeError> {
        set_rates(&mut self.settings, bitrate_bps);
        // SAFETY: the context is initialised; the settings are those of its start but for the bitrates, and copied.
        match unsafe { vpx_codec_enc_config_set(&mut *self.context, &self.settings) } {
            vpx_codec_err_t::VPX_CODEC_OK => Ok(()),
            _ => Err(EncodeError::Failed("rate refused")),
        }
    }

    /// Encodes one picture shown at `time_ms` for `duration_ms`.
    fn encode(&mut self, picture: &I420Frame, time_ms: i64, duration_ms: u32, intra: Intra) -> Result<Option<EncodedPicture>, EncodeError> {
        let (size, mut image) = (picture.size(), vpx_image_t::default());
        let data = picture.data().as_ptr().cast_mut();
        // SAFETY: describes the tightly packed Y, U, V planes of `picture`; with alignment 1 and even sides the library's
        // idea of the layout is that of `I420Frame`. Nothing is written to the picture and the image owns nothing.
        let wrapped = unsafe { vpx_img_wrap(&mut image, vpx_img_fmt_t::VPX_IMG_FMT_I420, size.width, size.height, 1, data) };
        if wrapped.is_null() {
            return Err(EncodeError::Failed("picture refused"));
        }
        let intra = if std::mem::take(&mut self.fresh) { Intra::Force } else { intra };
        let layer = self.next_layer(intra)?;
        let flags = match (intra, layer) {
            (Intra::Force, _) => VPX_EFLAG_FORCE_KF,
            (Intra::Auto, None) => 0,
            (Intra::Auto, Some(layer)) => [BASE, UPPER][usize::from(layer)],
        };
        // SAFETY: the context is initialised for this size; the image is copied by the library before it returns.
        let result = unsafe {
            vpx_codec_encode(&mut *self.context, &image, time_ms, c_ulong::from(duration_ms), flags.into(), c_ulong::from(VPX_DL_REALTIME))
        };
        if result != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(EncodeError::Failed("cannot encode"));
        }
        Ok(self.coded_frame(layer.unwrap_or(0)))
    }

    /// The layer of the picture that comes now; `None`: there are none.
    fn next_layer(&mut self, intra: Intra) -> Result<Option<u8>, EncodeError> {
        if self.settings.ts_number_layers < 2 {
            return Ok(None);
        }
        let layer = if intra == Intra::Force { 0 } else { self.layer };
        self.layer = 1 - layer;
        let control = vp8e_enc_control_id::VP8E_SET_TEMPORAL_LAYER_ID as c_int;
        // SAFETY: the context is initialised; this control takes one int.
        match unsafe { vpx_codec_control_(&mut *self.context, control, c_int::from(layer)) } {
            vpx_codec_err_t::VPX_CODEC_OK => Ok(Some(layer)),
            _ => Err(EncodeError::Failed("layer refused")),
        }
    }

    /// The frame that the last `encode` made, unless rate control skipped it.
    fn coded_frame(&mut self, layer: u8) -> Option<EncodedPicture> {
        let mut iterator = null();
        loop {
            // SAFETY: the context is initialised; a packet lives until the next `encode`.
            let packet = unsafe { vpx_codec_get_cx_data(&mut *self.context, &mut iterator).as_ref() }?;
            if packet.kind != vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: a packet of this kind holds a frame.
            let frame = unsafe { packet.data.frame };
            if frame.buf.is_null() || frame.sz == 0 {
                return None;
            }
            // SAFETY: the frame's bytes live as long as the packet.
            let bytes = unsafe { std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize) };
            return Some(EncodedPicture { data: Arc::from(bytes), keyframe: frame.flags & VPX_FRAME_IS_KEY != 0, layer });
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: initialised once, destroyed once, never used again.
        unsafe { vpx_codec_destroy(&mut *self.context) };
    }
}

/// Our settings on top of the library's defaults; buffers in milliseconds at the target rate.
fn settings(config: &EncoderConfig) -> Result<vpx_codec_enc_cfg, EncodeError> {
    let mut defaults = MaybeUninit::<vpx_codec_enc_cfg>::zeroed();
    // SAFETY: fills the whole struct when it succeeds.
    let result = unsafe { vpx_codec_enc_config_default(vpx_codec_vp8_cx(), defaults.as_mut_ptr(), 0) };
    if result != vpx_codec_err_t::VPX_CODEC_OK {
        return Err(EncodeError::Failed("no default settings"));
    }
    // SAFETY: filled by the successful call above.
    let mut settings = unsafe { defaults.assume_init() };
    (settings.g_w, settings.g_h) = (config.size.width, config.size.height);
    (settings.g_timebase.num, settings.g_timebase.den) = (1, 1000);
    (settings.g_threads, settings.g_lag_in_frames, settings.g_error_resilient) = (1, 0, 0);
    settings.g_pass = vpx_enc_pass::VPX_RC_ONE_PASS;
    settings.rc_end_usage = vpx_rc_mode::VPX_CBR;
    (settings.rc_min_quantizer, settings.rc_max_quantizer) = (2, 56);
    (settings.rc_undershoot_pct, settings.rc_overshoot_pct) = (100, 15);
    (settings.rc_buf_initial_sz, settings.rc_buf_optimal_sz, settings.rc_buf_sz) = (500, 600, 1000);
    settings.rc_dropframe_thresh = 30;
    settings.rc_resize_allowed = 0;
    settings.kf_mode = vpx_kf_mode::VPX_KF_DISABLED;
    if config.layered {
        // Without it a picture of layer 1 that rate control drops leaves its probabilities behind, and what follows cannot be read.
        settings.g_error_resilient = 1;
        (settings.ts_number_layers, settings.ts_periodicity) = (2, 2);
        settings.ts_rate_decimator[..2].copy_from_slice(&[2, 1]);
        settings.ts_layer_id[..2].copy_from_slice(&[0, 1]);
    }
    set_rates(&mut settings, config.bitrate_bps);
    Ok(settings)
}

fn set_rates(settings: &mut vpx_codec_enc_cfg, bitrate_bps: u32) {
    let whole = bitrate_bps / 1000;
    settings.rc_target_bitrate = whole;
    if settings.ts_number_layers > 1 {
        settings.ts_target_bitrate[..2].copy_from_slice(&[(whole as f32 * BASE_SHARE) as u32, whole]);
    }
}
