//! Giving memory that nobody uses back to the system.
//!
//! The allocator of glibc keeps what was freed below anything still in use: after three thousand
//! connections of which fifteen stayed, all of it. Without this a shortage would never end. musl gives
//! back by itself.

use std::time::{Duration, Instant};

/// Least distance between two times.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How many times longer than it took the next time is waited for: who allocates waits meanwhile.
const PAUSE_FACTOR: u32 = 20;

/// When it is due again.
#[derive(Debug, Default)]
pub struct Trim {
    due: Option<Instant>,
}

impl Trim {
    /// Gives back and says so, unless it was done lately.
    pub fn if_due(&mut self, now: Instant) -> bool {
        if self.due.is_some_and(|due| now < due) {
            return false;
        }
        give_back();
        let took = now.elapsed();
        self.due = Some(now + took + PAUSE_MIN.max(took * PAUSE_FACTOR));
        true
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no other way, and no crate wraps it")]
fn give_back() {
    // JUSTIFICATION: RssAnon stays where a burst left it otherwise, so new work would be refused until
    // a restart; see the test below.
    // SAFETY: `malloc_trim` takes a number, may be called on any thread at any time (MT-Safe), and
    // touches free memory only.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_usage::MemoryUsage;

    /// Goal: memory freed below a block in use is given back. Method: many blocks, of which every
    /// hundredth stays.
    #[test]
    fn what_was_freed_between_blocks_in_use_is_given_back() {
        const BLOCKS: usize = 16_384;
        const BYTES: usize = 4096;
        let mut blocks: Vec<_> = (0..BLOCKS).map(|n| Some(vec![n as u8; BYTES])).collect();
        let full = MemoryUsage::now().unwrap().anonymous;
        for (n, block) in blocks.iter_mut().enumerate() {
            if n % 100 != 99 {
                *block = None;
            }
        }
        let mut trim = Trim::default();
        let now = Instant::now();
        assert!(trim.if_due(now));
        let left = MemoryUsage::now().unwrap().anonymous;
        assert!(left + (BLOCKS * BYTES / 2) as u64 <= full, "{left} of {full} left");
        assert!(blocks.iter().flatten().all(|block| block.len() == BYTES));
        assert!(!trim.if_due(now + PAUSE_MIN / 2), "who allocates is not made to wait again");
    }
}
