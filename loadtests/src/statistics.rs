//! The few statistics a comparison of rounds needs: median, extremes and spread.
//!
//! Rounds are few (three to ten), so nothing here pretends to a distribution: the median resists
//! one disturbed round, the extremes show how far the rounds disagreed.

use serde::Serialize;

/// One quantity over all rounds of one proxy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle round, or the mean of the two middle ones.
    pub median: f64,
    /// The smallest round.
    pub min: f64,
    /// The largest round.
    pub max: f64,
}

impl Spread {
    /// Of no rounds there is nothing to say, hence `None`. Values that are not finite are ignored.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted[sorted.len() / 2];
        let lower = sorted[(sorted.len() - 1) / 2];
        Some(Self { median: (lower + upper) / 2.0, min, max })
    }

    /// Half the distance of the extremes in percent of the median: "± this much".
    pub fn half_width_percent(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.max - self.min) / 2.0 / self.median * 100.0 }
    }
}

/// `value / reference` round by round, for the rounds both have. Pairing removes what moved the
/// whole machine from one round to the next.
pub fn paired_ratio(value: &[(usize, f64)], reference: &[(usize, f64)]) -> Option<Spread> {
    let of_round = |round: usize| reference.iter().find(|(other, _)| *other == round);
    Spread::of(
        value.iter().filter_map(|(round, value)| of_round(*round).map(|(_, base)| value / base)),
    )
}

/// A shuffled copy of `items`: the same seed gives the same order (SplitMix64, Fisher-Yates).
pub fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let mut order = items.to_vec();
    for last in (1..order.len()).rev() {
        let other = usize::try_from(next() % (last as u64 + 1)).unwrap_or(last);
        order.swap(last, other);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, 7.0]).unwrap().max, 7.0);
    }

    #[test]
    fn half_width_is_relative_to_the_median() {
        let spread = Spread::of([9.0, 10.0, 12.0]).unwrap();
        assert!((spread.half_width_percent() - 15.0).abs() < 1e-9);
    }

    #[test]
    fn ratio_pairs_the_rounds_and_skips_a_missing_one() {
        let ours = [(0, 6.0), (1, 8.0), (2, 9.0)];
        let theirs = [(0, 12.0), (2, 12.0)];
        let ratio = paired_ratio(&ours, &theirs).unwrap();
        assert_eq!((ratio.min, ratio.max, ratio.median), (0.5, 0.75, 0.625));
    }

    #[test]
    fn shuffling_keeps_every_item_and_repeats_for_a_seed() {
        let items = [1, 2, 3, 4, 5, 6];
        let once = shuffled(&items, 7);
        assert_eq!(once, shuffled(&items, 7));
        let mut sorted = once.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, items);
        assert!((0..20).any(|seed| shuffled(&items, seed) != once));
    }
}
