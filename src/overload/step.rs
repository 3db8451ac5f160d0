//! The ladder: what is given up, in order.

use std::fmt;

/// Each step gives up what those before it do, and more. Sound is on none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Everything as it was asked for.
    #[default]
    Whole,
    /// Pictures per second at most.
    Fps25,
    Fps15,
    Fps10,
    /// Lines of a picture at most (its shorter side).
    Lines540,
    Lines360,
    /// Few cameras and screens are decoded; the others are avatars.
    FewTiles,
    /// None are, and a still picture says so.
    NoVideo,
}

impl Step {
    const LADDER: [Self; 8] =
        [Self::Whole, Self::Fps25, Self::Fps15, Self::Fps10, Self::Lines540, Self::Lines360, Self::FewTiles, Self::NoVideo];

    /// 0 (nothing is given up) to 7.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The next one down; the last has none.
    pub fn down(self) -> Option<Self> {
        Self::LADDER.get(usize::from(self.number()) + 1).copied()
    }

    pub fn up(self) -> Option<Self> {
        Self::LADDER.get(usize::from(self.number()).checked_sub(1)?).copied()
    }

    /// Pictures per second of a canvas at most.
    pub fn fps(self) -> u32 {
        match self {
            Self::Whole => u32::MAX,
            Self::Fps25 => 25,
            Self::Fps15 => 15,
            _ => 10,
        }
    }

    /// The shorter side of a rendition at most, in pixels.
    pub fn lines(self) -> u32 {
        match self {
            Self::Whole | Self::Fps25 | Self::Fps15 | Self::Fps10 => u32::MAX,
            Self::Lines540 => 540,
            _ => 360,
        }
    }

    /// As the API names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Fps25 => "fps_25",
            Self::Fps15 => "fps_15",
            Self::Fps10 => "fps_10",
            Self::Lines540 => "lines_540",
            Self::Lines360 => "lines_360",
            Self::FewTiles => "few_tiles",
            Self::NoVideo => "no_video",
        }
    }
}

/// For people.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "pictures are whole",
            Self::Fps25 => "at most 25 pictures per second",
            Self::Fps15 => "at most 15 pictures per second",
            Self::Fps10 => "at most 10 pictures per second",
            Self::Lines540 => "pictures of at most 540 lines, 10 per second",
            Self::Lines360 => "pictures of at most 360 lines, 10 per second",
            Self::FewTiles => "the least active cameras are avatars",
            Self::NoVideo => "no video",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rate_goes_before_size_before_tiles_before_video() {
        let down = std::iter::successors(Some(Step::Whole), |step| step.down()).collect::<Vec<_>>();
        assert_eq!(down, Step::LADDER);
        assert!(Step::LADDER.iter().zip(0..).all(|(step, number)| step.number() == number));
        assert!(
            down.windows(2)
                .all(|pair| pair[1].up() == Some(pair[0]) && pair[1].fps() <= pair[0].fps() && pair[1].lines() <= pair[0].lines())
        );
        let first = |gives_up: fn(Step) -> bool| down.iter().position(|step| gives_up(*step));
        assert!(first(|step| step.fps() == 10) < first(|step| step.lines() < u32::MAX), "all of the rate goes before any of the size");
        assert!(first(|step| step.lines() == 360) < first(|step| step >= Step::FewTiles));
        assert_eq!((Step::Whole.up(), Step::NoVideo.down()), (None, None));
    }
}
