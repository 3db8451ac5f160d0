//! Writes H.264 headers bit by bit, with every field of interest open to abuse.

/// Bits, most significant first.
#[derive(Debug, Default, Clone)]
pub struct Bits(Vec<bool>);

impl Bits {
    pub fn u(mut self, count: u32, value: u32) -> Self {
        self.0.extend((0..count).rev().map(|n| value >> n & 1 == 1));
        self
    }

    pub fn ue(self, value: u32) -> Self {
        let code = u64::from(value) + 1;
        let length = 64 - code.leading_zeros();
        let zeros = self.u(length - 1, 0);
        zeros.u(1, 1).u(length - 1, (code & ((1 << (length - 1)) - 1)) as u32)
    }

    pub fn se(self, value: i32) -> Self {
        self.ue(if value > 0 { 2 * value as u32 - 1 } else { 2 * value.unsigned_abs() })
    }

    /// A whole NAL unit with start code: header byte, these bits, the stop bit; emulation prevention inserted.
    pub fn nal(self, header: u8) -> Vec<u8> {
        let mut bits = self.0;
        bits.push(true);
        let mut out = vec![0, 0, 0, 1, header];
        let mut zeros = 0;
        for byte in bits.chunks(8) {
            let byte = byte.iter().enumerate().fold(0u8, |byte, (n, &bit)| byte | u8::from(bit) << (7 - n));
            if zeros == 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            out.push(byte);
        }
        out
    }
}

#[derive(Debug, Clone)]
pub struct Sps {
    pub profile: u32,
    pub level: u32,
    pub id: u32,
    pub chroma_format: u32,
    pub bit_depth: u32,
    pub references: u32,
    pub gaps: bool,
    pub macroblocks: (u32, u32),
    pub progressive: bool,
    pub crop: Option<[u32; 4]>,
    /// max_num_reorder_frames and max_dec_frame_buffering.
    pub reorder: Option<(u32, u32)>,
}

impl Default for Sps {
    /// 640 × 360, constrained baseline.
    fn default() -> Self {
        Self {
            profile: 66,
            level: 31,
            id: 0,
            chroma_format: 1,
            bit_depth: 8,
            references: 1,
            gaps: false,
            macroblocks: (40, 23),
            progressive: true,
            crop: Some([0, 0, 0, 4]),
            reorder: None,
        }
    }
}

impl Sps {
    pub fn nal(&self) -> Vec<u8> {
        let mut bits = Bits::default().u(8, self.profile).u(8, 0xe0).u(8, self.level).ue(self.id);
        if self.profile == 100 || self.profile == 110 || self.profile == 244 {
            bits = bits.ue(self.chroma_format);
            bits = if self.chroma_format == 3 { bits.u(1, 0) } else { bits };
            bits = bits.ue(self.bit_depth - 8).ue(self.bit_depth - 8).u(1, 0).u(1, 0);
        }
        bits = bits.ue(0).ue(2).ue(self.references).u(1, u32::from(self.gaps));
        bits = bits.ue(self.macroblocks.0.wrapping_sub(1)).ue(self.macroblocks.1.wrapping_sub(1)).u(1, u32::from(self.progressive));
        bits = if self.progressive { bits } else { bits.u(1, 0) };
        bits = bits.u(1, 1);
        bits = match self.crop {
            Some(crop) => crop.into_iter().fold(bits.u(1, 1), Bits::ue),
            None => bits.u(1, 0),
        };
        bits = match self.reorder {
            Some((reorder, buffering)) => {
                let bits = bits.u(1, 1).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0).u(1, 0);
                bits.u(1, 1).u(1, 1).ue(0).ue(0).ue(10).ue(10).ue(reorder).ue(buffering)
            }
            None => bits.u(1, 0),
        };
        bits.nal(0x67)
    }
}

pub fn pps(id: u32, sps: u32, slice_groups: u32) -> Vec<u8> {
    let bits = Bits::default().ue(id).ue(sps).u(2, 0).ue(slice_groups - 1).ue(0).ue(0).u(1, 0).u(2, 0);
    bits.se(0).se(0).se(0).u(3, 0).nal(0x68)
}

/// A slice's header as far as frame_num, and a few bytes of nonsense.
pub fn slice(idr: bool, first: u32, kind: u32, pps: u32, frame_num: u32) -> Vec<u8> {
    let bits = Bits::default().ue(first).ue(kind).ue(pps).u(4, frame_num).u(32, 0xdead_beef);
    bits.nal(if idr { 0x65 } else { 0x41 })
}
