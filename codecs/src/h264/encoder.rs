//! I420 pictures → OpenH264 → access units of constrained baseline.
//!
//! One slice, one thread, one temporal layer (or two, of which the upper one is never referred to), one reference; an IDR only where it is forced (and, for
//! screens, where the picture changes altogether); SPS and PPS of constant id before each. Rate control
//! may skip pictures. Bitrate and frame rate change between pictures without an IDR.

use crate::{EncodeError, EncodedPicture, EncoderConfig, I420Frame, Intra, Size, VideoEncoder};
use openh264_sys2::{
    CAMERA_VIDEO_REAL_TIME, CM_SMPTE170M, CONSTANT_ID, CP_SMPTE170M, ELevelIdc, ENCODER_OPTION, ENCODER_OPTION_BITRATE,
    ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_TRACE_LEVEL, EVideoFrameType, ISVCEncoder, ISVCEncoderVtbl,
    LOW_COMPLEXITY, PRO_BASELINE, RC_BITRATE_MODE, SBitrateInfo, SCREEN_CONTENT_REAL_TIME, SEncParamExt, SFrameBSInfo, SM_SINGLE_SLICE,
    SPATIAL_LAYER_0, SPATIAL_LAYER_ALL, SSourcePicture, TRC_SMPTE170M, VF_UNDEF, WELS_LOG_QUIET, source::APILoader, videoFormatI420,
    videoFrameTypeIDR, videoFrameTypeSkip,
};
use std::{
    ffi::{c_int, c_void},
    ptr::{from_mut, null_mut},
    sync::Arc,
};

/// Smallest side that the library takes.
const MIN_SIDE: u32 = 16;
const MAX_SIDE: u32 = 4096;
const MIN_BITRATE: u32 = 10_000;
const MAX_BITRATE: u32 = 50_000_000;
const MAX_FPS: u32 = 60;

/// Encodes one rendition.
pub struct Encoder {
    config: EncoderConfig,
    library: Library,
    coded: Vec<u8>,
}

impl Encoder {
    /// An encoder whose first picture is an IDR. Sides even, 16 to 4096; 1 to 60 pictures per second; 10 kb/s to 50 Mb/s.
    pub fn new(config: EncoderConfig) -> Result<Self, EncodeError> {
        let Size { width, height } = config.size;
        if config.size != config.size.even() || width.min(height) < MIN_SIDE || width.max(height) > MAX_SIDE {
            return Err(EncodeError::Settings("size"));
        }
        check_rate(config.bitrate_bps, config.fps)?;
        let mut library = Library::create()?;
        library.initialise(&config)?;
        Ok(Self { config, library, coded: Vec::new() })
    }
}

impl VideoEncoder for Encoder {
    fn encode(&mut self, picture: &I420Frame, time_ms: u64, intra: Intra) -> Result<Option<EncodedPicture>, EncodeError> {
        if picture.size() != self.config.size {
            return Err(EncodeError::Size { got: picture.size(), wanted: self.config.size });
        }
        if intra == Intra::Force {
            self.library.force_idr()?;
        }
        self.coded.clear();
        let kind = self.library.encode(picture, time_ms, &mut self.coded)?;
        if kind == videoFrameTypeSkip || self.coded.is_empty() {
            return Ok(None);
        }
        Ok(Some(EncodedPicture { data: Arc::from(&self.coded[..]), keyframe: kind == videoFrameTypeIDR, layer: self.library.layer() }))
    }

    fn set_rate(&mut self, bitrate_bps: u32, fps: u32) -> Result<(), EncodeError> {
        check_rate(bitrate_bps, fps)?;
        if fps != self.config.fps {
            self.library.set(ENCODER_OPTION_FRAME_RATE, &mut (fps as f32));
            self.config.fps = fps;
        }
        if bitrate_bps != self.config.bitrate_bps {
            self.library.set_bitrate(self.config.bitrate_bps, bitrate_bps)?;
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

/// What a few seconds may reach when the target is `bitrate_bps`.
fn ceiling(bitrate_bps: u32) -> c_int {
    (bitrate_bps / 5 * 6) as c_int
}

/// The lowest level from 3.1 up that covers size and rate (H.264, table A-1): `42e01f` up to 720p30.
fn level(size: Size, fps: u32) -> ELevelIdc {
    let macroblocks = size.width.div_ceil(16) * size.height.div_ceil(16);
    let per_second = macroblocks * fps;
    let levels = [(31, 3_600, 108_000), (32, 5_120, 216_000), (40, 8_192, 245_760), (42, 8_704, 522_240), (50, 22_080, 589_824)];
    let enough = levels.iter().find(|(_, frame, rate)| macroblocks <= *frame && per_second <= *rate);
    enough.map_or(52, |(level, _, _)| *level)
}

/// One instance of the library's encoder.
struct Library {
    /// Valid and exclusively owned until drop.
    object: *mut ISVCEncoder,
    /// Its description of the last coded picture; what it points to belongs to the object.
    info: Box<SFrameBSInfo>,
}

// SAFETY: the object is owned by this struct alone, uses no thread-local state, and is only ever
// called through `&mut self`; with one thread it starts none. `info` points into the object.
unsafe impl Send for Library {}

impl Library {
    fn create() -> Result<Self, EncodeError> {
        let mut object: *mut ISVCEncoder = null_mut();
        // SAFETY: writes a pointer to a new object, or leaves null.
        let created = unsafe { APILoader::WelsCreateSVCEncoder(&mut object) };
        if created != 0 || object.is_null() {
            return Err(EncodeError::Failed("cannot create"));
        }
        Ok(Self { object, info: Box::default() })
    }

    fn table(&self) -> &ISVCEncoderVtbl {
        // SAFETY: `object` is live and begins with the pointer to its constant table of functions.
        unsafe { &**self.object }
    }

    fn initialise(&mut self, config: &EncoderConfig) -> Result<(), EncodeError> {
        let (Some(defaults), Some(initialise)) = (self.table().GetDefaultParams, self.table().InitializeExt) else {
            return Err(EncodeError::Failed("no InitializeExt"));
        };
        self.set(ENCODER_OPTION_TRACE_LEVEL, &mut (WELS_LOG_QUIET as u32));
        let mut settings = SEncParamExt::default();
        // SAFETY: the object is live and fills the struct.
        unsafe { defaults(self.object, &mut settings) };
        describe(config, &mut settings);
        // SAFETY: the object is live; `settings` outlives the call, which copies it.
        match unsafe { initialise(self.object, &settings) } {
            0 => Ok(()),
            _ => Err(EncodeError::Settings("refused by the library")),
        }
    }

    /// `value` must be of the type that the option takes: f32 for the frame rate, `SBitrateInfo` for rates, u32 otherwise.
    fn set<T>(&mut self, option: ENCODER_OPTION, value: &mut T) -> c_int {
        let Some(set) = self.table().SetOption else { return -1 };
        // SAFETY: the object is live; the callers in this file pass the type that each option reads.
        unsafe { set(self.object, option, from_mut(value).cast::<c_void>()) }
    }

    fn get_bitrate(&mut self) -> Option<c_int> {
        let mut info = SBitrateInfo { iLayer: SPATIAL_LAYER_0, iBitrate: 0 };
        let get = self.table().GetOption?;
        // SAFETY: the object is live; this option reads the layer and writes the rate of an `SBitrateInfo`.
        let result = unsafe { get(self.object, ENCODER_OPTION_BITRATE, from_mut(&mut info).cast::<c_void>()) };
        (result == 0).then_some(info.iBitrate)
    }

    /// The ceiling goes first upwards and last downwards: the library refuses a target above its ceiling.
    /// It answers 1 to harmless adjustments, so what counts is the rate that it reports afterwards.
    fn set_bitrate(&mut self, old: u32, new: u32) -> Result<(), EncodeError> {
        let target = [(ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL, new as c_int)];
        let most = [SPATIAL_LAYER_0, SPATIAL_LAYER_ALL].map(|layer| (ENCODER_OPTION_MAX_BITRATE, layer, ceiling(new)));
        let steps: [_; 3] = if new > old { [most[0], most[1], target[0]] } else { [target[0], most[0], most[1]] };
        for (option, layer, rate) in steps {
            self.set(option, &mut SBitrateInfo { iLayer: layer, iBitrate: rate });
        }
        let reached = self.get_bitrate().unwrap_or(0);
        if reached.abs_diff(new as c_int) > new / 100 { Err(EncodeError::Failed("rate refused")) } else { Ok(()) }
    }

    fn force_idr(&mut self) -> Result<(), EncodeError> {
        let force = self.table().ForceIntraFrame.ok_or(EncodeError::Failed("no ForceIntraFrame"))?;
        // SAFETY: the object is live and initialised.
        match unsafe { force(self.object, true) } {
            0 => Ok(()),
            _ => Err(EncodeError::Failed("keyframe refused")),
        }
    }

    /// Encodes one picture, appends its NAL units to `coded`, and says of what kind it is.
    fn encode(&mut self, picture: &I420Frame, time_ms: u64, coded: &mut Vec<u8>) -> Result<EVideoFrameType, EncodeError> {
        let (planes, size) = (picture.planes(), picture.size());
        let source = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [planes.y_stride as c_int, planes.uv_stride as c_int, planes.uv_stride as c_int, 0],
            pData: [planes.y.as_ptr().cast_mut(), planes.u.as_ptr().cast_mut(), planes.v.as_ptr().cast_mut(), null_mut()],
            iPicWidth: size.width as c_int,
            iPicHeight: size.height as c_int,
            uiTimeStamp: time_ms as i64,
            ..SSourcePicture::default()
        };
        let encode = self.table().EncodeFrame.ok_or(EncodeError::Failed("no EncodeFrame"))?;
        // SAFETY: the object is live and initialised for this size; the planes are readable for strides × rows and are not
        // written to (the library copies them into buffers of its own); `info` is written only during the call.
        if unsafe { encode(self.object, &source, &mut *self.info) } != 0 {
            return Err(EncodeError::Failed("cannot encode"));
        }
        self.collect(coded)?;
        Ok(self.info.eFrameType)
    }

    /// The temporal layer of the picture that was just coded.
    fn layer(&self) -> u8 {
        self.info.sLayerInfo.get(self.info.iLayerNum.max(1) as usize - 1).map_or(0, |layer| layer.uiTemporalId)
    }

    /// Appends all NAL units of the picture that was just coded.
    fn collect(&mut self, coded: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.info.eFrameType == videoFrameTypeSkip {
            return Ok(());
        }
        let layers = self.info.sLayerInfo.get(..self.info.iLayerNum.max(0) as usize).ok_or(EncodeError::Failed("too many layers"))?;
        for layer in layers {
            if layer.pBsBuf.is_null() || layer.pNalLengthInByte.is_null() {
                return Err(EncodeError::Failed("no coded bytes"));
            }
            // SAFETY: the library keeps one length for each of the layer's NAL units until the next call.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount.max(0) as usize) };
            let length = lengths.iter().map(|&length| length.max(0) as usize).sum();
            // SAFETY: the NAL units of a layer lie end to end in a buffer that the library keeps until the next call.
            coded.extend_from_slice(unsafe { std::slice::from_raw_parts(layer.pBsBuf, length) });
        }
        Ok(())
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Some(uninitialize) = self.table().Uninitialize {
            // SAFETY: the object is live; calling this before a successful InitializeExt is allowed too.
            unsafe { uninitialize(self.object) };
        }
        // SAFETY: created by WelsCreateSVCEncoder, destroyed once, never used again.
        unsafe { APILoader::WelsDestroySVCEncoder(self.object) };
    }
}

/// Turns our settings into the library's, on top of its defaults.
fn describe(config: &EncoderConfig, settings: &mut SEncParamExt) {
    let (width, height) = (config.size.width as c_int, config.size.height as c_int);
    let (rate, fps) = (config.bitrate_bps as c_int, config.fps as f32);
    settings.iUsageType = if config.screen { SCREEN_CONTENT_REAL_TIME } else { CAMERA_VIDEO_REAL_TIME };
    (settings.iPicWidth, settings.iPicHeight) = (width, height);
    (settings.iTargetBitrate, settings.iMaxBitrate, settings.fMaxFrameRate) = (rate, ceiling(config.bitrate_bps), fps);
    settings.iRCMode = RC_BITRATE_MODE;
    settings.bEnableFrameSkip = true;
    settings.iComplexityMode = LOW_COMPLEXITY;
    settings.uiIntraPeriod = 0;
    settings.eSpsPpsIdStrategy = CONSTANT_ID;
    settings.iTemporalLayerNum = 1 + c_int::from(config.layered);
    settings.iSpatialLayerNum = 1;
    settings.iNumRefFrame = 1;
    settings.iEntropyCodingModeFlag = 0;
    settings.iMultipleThreadIdc = 1;
    // Without effect on a single slice, but for the library's buffer of coded bytes: it is half as large.
    settings.bUseLoadBalancing = true;
    settings.bEnableDenoise = false;
    settings.bEnableSceneChangeDetect = config.screen;
    settings.bEnableBackgroundDetection = !config.screen;
    settings.bEnableAdaptiveQuant = false;
    let layer = &mut settings.sSpatialLayers[0];
    (layer.iVideoWidth, layer.iVideoHeight, layer.fFrameRate) = (width, height, fps);
    (layer.iSpatialBitrate, layer.iMaxSpatialBitrate) = (rate, ceiling(config.bitrate_bps));
    (layer.uiProfileIdc, layer.uiLevelIdc) = (PRO_BASELINE, level(config.size, config.fps));
    (layer.sSliceArgument.uiSliceMode, layer.sSliceArgument.uiSliceNum) = (SM_SINGLE_SLICE, 1);
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = VF_UNDEF as u8;
    layer.bFullRange = false;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = CP_SMPTE170M as u8;
    layer.uiTransferCharacteristics = TRC_SMPTE170M as u8;
    layer.uiColorMatrix = CM_SMPTE170M as u8;
}
