//! The buckets every latency histogram shares: two per octave from 50 µs to 105 s.
//!
//! Fixed for all, so that shards add up, quantiles are good to ±20 % over six decades, and a
//! dashboard written for one router fits the next.

/// Buckets with a finite bound.
pub const BOUNDS: usize = 43;
/// Cells of one histogram: the bounded buckets and the one for everything slower.
pub const BUCKETS: usize = BOUNDS + 1;

/// Upper bounds in microseconds, inclusive as Prometheus defines `le`.
pub static BOUNDS_US: [u64; BOUNDS] = bounds_us();

/// The bucket a duration falls into.
#[inline]
pub fn bucket_of(us: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < us)
}

const fn bounds_us() -> [u64; BOUNDS] {
    let mut bounds = [0; BOUNDS];
    let mut i = 0;
    while i < BOUNDS {
        let octave = FIRST_US << (i / 2);
        bounds[i] = if i % 2 == 0 { octave } else { round_root_two(octave) };
        i += 1;
    }
    bounds
}

/// `octave * sqrt(2)` rounded to whole microseconds.
const fn round_root_two(octave: u64) -> u64 {
    (octave * 1_414_213_562 + 500_000_000) / 1_000_000_000
}

/// Bound of the first bucket: below it the router's own work is all there is to see.
const FIRST_US: u64 = 50;

const _: () = {
    assert!(BOUNDS_US[BOUNDS - 1] >= 100_000_000); // the longest deadline anybody configures
};
