//! Exact shares of a canvas side.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;

/// Decimals are read to this many parts of 1, and denominators go no further.
const FINEST: i64 = 1_000_000;

/// A share of a canvas side, kept as a reduced ratio: three times a third is all of it. In JSON a number, or a string
/// such as `"1/3"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fraction {
    numerator: i64,
    /// At least 1, at most [`FINEST`] where it was read.
    denominator: i64,
}

impl Fraction {
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// `numerator` / `denominator`; a denominator of 0 counts as 1.
    pub fn new(numerator: u32, denominator: u32) -> Self {
        Self::reduced(numerator.into(), i64::from(denominator).max(1))
    }

    fn reduced(numerator: i64, denominator: i64) -> Self {
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs()).max(1) as i64;
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// This share of `length`, to the nearest even pixel, at most `length` itself.
    pub fn of(self, length: u32) -> u32 {
        let doubled = 2 * i128::from(self.denominator);
        let pairs = (i128::from(self.numerator) * i128::from(length) + i128::from(self.denominator)).div_euclid(doubled);
        u32::try_from((2 * pairs).clamp(0, i128::from(length & !1))).unwrap_or(length & !1)
    }

    /// The sum. Exact for what was read from JSON.
    pub fn plus(self, other: Self) -> Self {
        let numerator = self.numerator * other.denominator + other.numerator * self.denominator;
        Self::reduced(numerator, self.denominator * other.denominator)
    }

    pub fn is_negative(self) -> bool {
        self.numerator < 0
    }

    fn of_decimal(value: f64) -> Option<Self> {
        let parts = (value * FINEST as f64).round();
        (parts.abs() <= (FINEST * FINEST) as f64 / 1000.0).then(|| Self::reduced(parts as i64, FINEST))
    }

    fn of_text(text: &str) -> Option<Self> {
        let Some((numerator, denominator)) = text.split_once('/') else {
            return text.trim().parse().ok().filter(|value: &f64| value.is_finite()).and_then(Self::of_decimal);
        };
        let (numerator, denominator): (i64, i64) = (numerator.trim().parse().ok()?, denominator.trim().parse().ok()?);
        let fits = numerator.abs() <= FINEST && (1..=FINEST).contains(&denominator);
        fits.then(|| Self::reduced(numerator, denominator))
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        let across = |a: &Self, b: &Self| i128::from(a.numerator) * i128::from(b.denominator);
        across(self, other).cmp(&across(other, self))
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 { write!(f, "{}", self.numerator) } else { write!(f, "{}/{}", self.numerator, self.denominator) }
    }
}

/// A number where decimals say it exactly, else a string.
impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.denominator == 1 {
            serializer.serialize_i64(self.numerator)
        } else if FINEST % self.denominator == 0 {
            serializer.serialize_f64(self.numerator as f64 / self.denominator as f64)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = Fraction;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to 1, or a fraction such as \"1/3\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Fraction, E> {
        Fraction::of_decimal(value).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Fraction, E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Fraction, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Fraction, E> {
        Fraction::of_text(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(json: &str) -> Result<Fraction, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn numbers_and_strings_say_the_same() {
        for (json, expected) in
            [("0.25", (1, 4)), ("\"1/4\"", (1, 4)), ("\"2 / 8\"", (1, 4)), ("\"0.25\"", (1, 4)), ("1", (1, 1)), ("0", (0, 1))]
        {
            assert_eq!(read(json).unwrap(), Fraction::new(expected.0, expected.1), "{json}");
        }
        for json in ["\"1/0\"", "\"a\"", "\"1/2/3\"", "true", "null", "1e300", "\"1/99999999\"", "\"nan\"", "\"\""] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn three_thirds_are_one_and_fill_every_canvas() {
        let third = read("\"1/3\"").unwrap();
        assert_eq!(third.plus(third).plus(third), Fraction::ONE);
        assert_eq!((third.of(1280), third.plus(third).of(1280), Fraction::ONE.of(1280)), (426, 854, 1280));
    }

    #[test]
    fn what_decimals_cannot_say_is_written_as_a_ratio() {
        let write = |fraction| serde_json::to_string(&fraction).unwrap();
        assert_eq!(
            (write(Fraction::new(1, 3)), write(Fraction::new(1, 8)), write(Fraction::ONE)),
            ("\"1/3\"".into(), "0.125".into(), "1".into())
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(numerator in 0u32..1000, denominator in 1u32..1000) {
            let fraction = Fraction::new(numerator, denominator);
            prop_assert_eq!(read(&serde_json::to_string(&fraction).unwrap()).unwrap(), fraction);
        }

        #[test]
        fn shares_are_even_and_never_out_of_order(a in 0u32..1000, b in 0u32..1000, denominator in 1u32..1000, length in 2u32..4000) {
            let (low, high) = (Fraction::new(a.min(b), denominator), Fraction::new(a.max(b), denominator));
            prop_assert!(low.of(length) <= high.of(length) && low <= high);
            prop_assert!(low.of(length).is_multiple_of(2) && high.of(length) <= length);
        }
    }
}
