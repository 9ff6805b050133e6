//! A bound on log lines, so that a storm of events does not become a storm of lines.

/// A token bucket over log lines. Pure: the caller brings the clock.
#[derive(Debug)]
pub struct LineBudget {
    burst: u32,
    per_second: u32,
    /// Thousandths of a line.
    left_milli: u64,
    filled_at_ms: u64,
    withheld: u64,
}

/// Whether to write a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line {
    /// Write it.
    Write,
    /// Write it, and say that this many were withheld before it.
    WriteAfter(u64),
    /// Do not.
    Withhold,
}

impl LineBudget {
    /// `burst` lines at once, `per_second` on average.
    #[must_use]
    pub fn new(burst: u32, per_second: u32) -> Self {
        let left_milli = u64::from(burst) * 1000;
        Self { burst, per_second, left_milli, filled_at_ms: 0, withheld: 0 }
    }

    /// Takes one line out of the budget at `now_ms` of a clock that does not go back.
    pub fn take(&mut self, now_ms: u64) -> Line {
        let gained = now_ms.saturating_sub(self.filled_at_ms) * u64::from(self.per_second);
        self.filled_at_ms = self.filled_at_ms.max(now_ms);
        self.left_milli = (self.left_milli + gained).min(u64::from(self.burst) * 1000);
        if self.left_milli < 1000 {
            self.withheld += 1;
            return Line::Withhold;
        }
        self.left_milli -= 1000;
        match std::mem::take(&mut self.withheld) {
            0 => Line::Write,
            withheld => Line::WriteAfter(withheld),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_cut_and_its_number_is_said_with_the_next_line() {
        let mut budget = LineBudget::new(2, 10);
        assert_eq!(budget.take(5), Line::Write);
        assert_eq!(budget.take(5), Line::Write);
        assert_eq!(budget.take(5), Line::Withhold);
        assert_eq!(budget.take(6), Line::Withhold);
        assert_eq!(budget.take(105), Line::WriteAfter(2));
        assert_eq!(budget.take(105), Line::Withhold);
    }

    #[test]
    fn quiet_time_never_saves_up_more_than_the_burst() {
        let mut budget = LineBudget::new(1, 1000);
        assert_eq!(budget.take(1_000_000), Line::Write);
        assert_eq!(budget.take(1_000_000), Line::Withhold);
    }
}
