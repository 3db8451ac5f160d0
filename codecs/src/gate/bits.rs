//! Bits of a NAL unit: fixed-length and Exp-Golomb codes (H.264, 7.2 and 9.1), emulation prevention
//! bytes (7.4.1) skipped on the way.

use super::Refusal;

/// Reads from the byte after the NAL header.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    current: u8,
    /// Unread bits in `current`.
    left: u8,
    /// Zero bytes directly before `rest`.
    zeros: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, current: 0, left: 0, zeros: 0 }
    }

    fn load(&mut self) -> Result<(), Refusal> {
        let (&first, mut rest) = self.rest.split_first().ok_or(Refusal::Truncated)?;
        let mut byte = first;
        if self.zeros >= 2 && byte == 3 {
            let (&second, after) = rest.split_first().ok_or(Refusal::Truncated)?;
            if second > 3 {
                return Err(Refusal::Malformed);
            }
            (byte, rest, self.zeros) = (second, after, 0);
        }
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        if self.zeros > 2 {
            return Err(Refusal::Malformed);
        }
        (self.current, self.left, self.rest) = (byte, 8, rest);
        Ok(())
    }

    pub(super) fn flag(&mut self) -> Result<bool, Refusal> {
        if self.left == 0 {
            self.load()?;
        }
        self.left -= 1;
        Ok(self.current >> self.left & 1 == 1)
    }

    /// u(n), `count` ≤ 32.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, Refusal> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// ue(v), at most 2³² − 2.
    pub(super) fn ue(&mut self) -> Result<u32, Refusal> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Refusal::Malformed);
            }
        }
        Ok(((1u64 << zeros) - 1) as u32 + self.bits(zeros)?)
    }

    /// ue(v) that must not exceed `most`.
    pub(super) fn ue_up_to(&mut self, most: u32) -> Result<u32, Refusal> {
        let value = self.ue()?;
        if value > most { Err(Refusal::Malformed) } else { Ok(value) }
    }

    /// se(v).
    pub(super) fn se(&mut self) -> Result<i64, Refusal> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 })
    }

    /// se(v) within `range`.
    pub(super) fn se_within(&mut self, range: std::ops::RangeInclusive<i64>) -> Result<i64, Refusal> {
        let value = self.se()?;
        if range.contains(&value) { Ok(value) } else { Err(Refusal::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_read_as_in_table_9_2() {
        // 1 010 011 00100 00101 and then zeros
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let read: Vec<u32> = (0..5).map(|_| bits.ue().unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let read: Vec<i64> = (0..5).map(|_| bits.se().unwrap()).collect();
        assert_eq!(read, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn emulation_prevention_is_skipped_and_its_abuse_refused() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0x80]);
        assert_eq!(bits.bits(24).unwrap(), 1);
        assert_eq!(bits.bits(8).unwrap(), 0x80);
        assert_eq!(bits.flag(), Err(Refusal::Truncated));
        let mut bits = Bits::new(&[0, 0, 3, 0, 0, 3, 1]);
        assert_eq!(bits.bits(32).unwrap(), 0, "two in a row");
        assert_eq!(bits.bits(8).unwrap(), 1);
        assert_eq!(Bits::new(&[0, 0, 3, 4]).bits(24), Err(Refusal::Malformed));
        assert_eq!(Bits::new(&[0, 0, 0]).bits(24), Err(Refusal::Malformed));
    }

    #[test]
    fn the_longest_code_fits_and_a_longer_one_is_malformed() {
        let mut long = vec![0, 0, 3, 0, 1];
        long.extend([0xff, 0xff, 0xff, 0xff]);
        assert_eq!(Bits::new(&long).ue(), Ok(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 3, 0, 0, 3, 0]).ue(), Err(Refusal::Malformed));
    }
}
