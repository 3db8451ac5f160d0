//! Where a server breaks: more and more of one kind, doubling until a guard breaks twice in a row, then halving what is unknown
//! in between. Pure: counts out, verdicts in.

/// A search upwards.
#[derive(Debug, Clone)]
pub struct Ramp {
    next: Option<u16>,
    /// The most that held, and the least that broke.
    held: Option<u16>,
    broke: Option<u16>,
    /// The count that broke once: a neighbour on the same machine may have been the reason, so that it is tried again.
    doubted: Option<u16>,
    most: u16,
}

impl Ramp {
    /// From `first` to at most `most`.
    pub fn new(first: u16, most: u16) -> Self {
        Self { next: Some(first.clamp(1, most.max(1))), held: None, broke: None, doubted: None, most: most.max(1) }
    }

    /// What to measure next; `None`: it is found.
    pub fn next(&self) -> Option<u16> {
        self.next
    }

    /// The verdict on [`Self::next`].
    pub fn report(&mut self, held: bool) {
        let Some(count) = self.next else { return };
        if held {
            self.held = Some(self.held.map_or(count, |before| before.max(count)));
            self.doubted = None;
        } else if self.doubted == Some(count) {
            self.broke = Some(count);
        } else {
            self.doubted = Some(count);
            return;
        }
        self.next = self.between();
    }

    fn between(&self) -> Option<u16> {
        let low = self.held.unwrap_or(0);
        let Some(high) = self.broke else {
            return (low < self.most).then(|| low.saturating_mul(2).min(self.most));
        };
        // A sixteenth is as exact as a shared machine is.
        let exact = (low / 16).max(1);
        (high - low > exact).then(|| u16::midpoint(low, high))
    }

    /// The most that held; `None`: nothing did.
    pub fn held(&self) -> Option<u16> {
        self.held
    }

    /// The least that broke; `None`: nothing did, up to the most that can be asked for.
    pub fn broke(&self) -> Option<u16> {
        self.broke
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is measured against a server that carries `most`.
    fn search(first: u16, limit: u16, carries: impl Fn(u16, usize) -> bool) -> (Ramp, Vec<u16>) {
        let (mut ramp, mut asked) = (Ramp::new(first, limit), Vec::new());
        while let Some(count) = ramp.next() {
            assert!(asked.len() < 64, "{asked:?}");
            let held = carries(count, asked.len());
            asked.push(count);
            ramp.report(held);
        }
        (ramp, asked)
    }

    #[test]
    fn it_doubles_tries_again_and_closes_in() {
        let (ramp, asked) = search(4, 64, |count, _| count <= 13);
        assert_eq!(asked, [4, 8, 16, 16, 12, 14, 14, 13]);
        assert_eq!((ramp.held(), ramp.broke()), (Some(13), Some(14)));
    }

    #[test]
    fn one_bad_moment_is_forgiven() {
        let (ramp, asked) = search(2, 8, |_, n| n != 1);
        assert_eq!(asked, [2, 4, 4, 8]);
        assert_eq!((ramp.held(), ramp.broke()), (Some(8), None));
    }

    #[test]
    fn a_server_that_carries_nothing_is_found_out_below_where_it_began() {
        let (ramp, asked) = search(4, 64, |_, _| false);
        assert_eq!(asked, [4, 4, 2, 2, 1, 1]);
        assert_eq!((ramp.held(), ramp.broke()), (None, Some(1)));
    }

    proptest! {
        #[test]
        fn it_ends_near_what_the_server_carries(first in 1_u16..100, limit in 1_u16..1000, carries in 0_u16..1000) {
            let (ramp, asked) = search(first, limit, |count, _| count <= carries);
            prop_assert!(asked.len() <= 32);
            let held = ramp.held().unwrap_or(0);
            prop_assert!(held <= carries.min(limit));
            prop_assert!(held + (held / 16).max(1) >= carries.min(limit), "{} of {}", held, carries);
        }
    }
}
