//! Whether a node is out: failures in a row, ejections, and failed health checks, in one word.
//!
//! A pure state machine over a number, so that a node's counters keep to one cache line and every
//! change is one atomic exchange. Times come in as milliseconds.
//!
//! * Failures in a row eject a node once they reach a threshold; every ejection that follows
//!   another without a success between them lasts twice as long, up to a bound.
//! * Failures of a node that is out already change nothing: a burst of requests that fail together
//!   counts as one ejection, and requests it gets because nobody else is left do not prolong it.
//! * One success ends all that. A node that comes back after its time is out again at its next
//!   failure.
//! * Health checks stand beside it: a success of a request does not make a failed check good.

/// When failures eject a node, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EjectRules {
    /// Failures in a row that eject; 0: none ever do.
    pub failures: u32,
    /// How long the first ejection lasts.
    pub ms: u64,
    /// How long one lasts at most.
    pub ms_max: u64,
}

impl EjectRules {
    /// The first failure ejects, for always the same time.
    pub const fn at_once(ms: u64) -> Self {
        Self { failures: 1, ms, ms_max: ms }
    }

    /// The same times, but the first failure ejects: for a node that takes no connection, which
    /// needs no second opinion.
    #[must_use]
    pub const fn without_patience(self) -> Self {
        Self { failures: if self.failures == 0 { 0 } else { 1 }, ..self }
    }
}

/// Consecutive results of health checks that turn a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckRules {
    /// Good checks in a row that bring a node back.
    pub rise: u32,
    /// Bad checks in a row that take it out.
    pub fall: u32,
}

/// What one health check found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckFound {
    /// The node answered as it should.
    Good,
    /// It did not.
    Bad,
}

/// The state of one node.
///
/// Bits from the lowest: 40 of the millisecond an ejection ends, 8 of failures in a row, 6 of
/// ejections in a row, 1 for failed checks, 7 of checks in a row that contradict that one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing(u64);

const UNTIL_BITS: u32 = 40;
const FAILURES: Part = Part { shift: UNTIL_BITS, bits: 8 };
const EJECTIONS: Part = Part { shift: 48, bits: 6 };
const UNHEALTHY: u64 = 1 << 54;
const CHECKS: Part = Part { shift: 55, bits: 7 };
const UNTIL: Part = Part { shift: 0, bits: UNTIL_BITS };
/// What a success takes away.
pub(crate) const FORGIVEN: u64 = UNTIL.mask() | FAILURES.mask() | EJECTIONS.mask();

struct Part {
    shift: u32,
    bits: u32,
}

impl Part {
    const fn mask(&self) -> u64 {
        ((1 << self.bits) - 1) << self.shift
    }

    const fn of(&self, word: u64) -> u64 {
        (word & self.mask()) >> self.shift
    }

    /// `word` with this part set to `value`, or to the greatest it can hold.
    const fn set(&self, word: u64, value: u64) -> u64 {
        let most = self.mask() >> self.shift;
        let value = if value < most { value } else { most };
        word & !self.mask() | value << self.shift
    }
}

impl Standing {
    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    /// Millisecond at which an ejection ends or ended; 0 for none since the last success.
    pub(crate) const fn until_ms(self) -> u64 {
        UNTIL.of(self.0)
    }

    /// Failures since the last success, as far as counted.
    pub(crate) const fn failures(self) -> u32 {
        FAILURES.of(self.0) as u32
    }

    /// Whether health checks took the node out.
    pub(crate) const fn is_unhealthy(self) -> bool {
        self.0 & UNHEALTHY != 0
    }

    /// Whether failures or checks keep the node out at `now_ms`.
    pub(crate) const fn is_out(self, now_ms: u64) -> bool {
        self.is_unhealthy() || self.until_ms() > now_ms
    }

    /// After a failure at `now_ms`, and whether it ejected the node.
    pub(crate) fn failed(self, now_ms: u64, rules: EjectRules) -> (Self, bool) {
        if self.until_ms() > now_ms {
            return (self, false);
        }
        let failures = u64::from(self.failures()) + 1;
        let word = FAILURES.set(self.0, failures);
        if rules.failures == 0 || failures < u64::from(rules.failures) {
            return (Self(word), false);
        }
        let before = EJECTIONS.of(word);
        let lasts = rules.ms.saturating_mul(1 << before.min(32)).min(rules.ms_max);
        let word = EJECTIONS.set(word, before + 1);
        (Self(UNTIL.set(word, now_ms.saturating_add(lasts))), true)
    }

    /// After a health check, and whether it turned the node.
    pub(crate) fn checked(self, found: CheckFound, rules: CheckRules) -> (Self, bool) {
        let agrees = (found == CheckFound::Bad) == self.is_unhealthy();
        if agrees {
            return (Self(CHECKS.set(self.0, 0)), false);
        }
        let row = CHECKS.of(self.0) + 1;
        let needed = if found == CheckFound::Bad { rules.fall } else { rules.rise };
        if row < u64::from(needed) {
            return (Self(CHECKS.set(self.0, row)), false);
        }
        (Self(CHECKS.set(self.0, 0) ^ UNHEALTHY), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: EjectRules = EjectRules { failures: 3, ms: 1_000, ms_max: 5_000 };
    const CHECKS: CheckRules = CheckRules { rise: 2, fall: 3 };

    fn failed(standing: Standing, now_ms: u64) -> Standing {
        standing.failed(now_ms, RULES).0
    }

    #[test]
    fn failures_below_the_threshold_do_not_eject() {
        let twice = failed(failed(Standing::default(), 10), 20);
        assert!(!twice.is_out(21));
        assert_eq!(twice.failures(), 2);
        let (thrice, ejected) = twice.failed(30, RULES);
        assert!(ejected && thrice.is_out(1_029) && !thrice.is_out(1_030));
    }

    #[test]
    fn each_ejection_without_a_success_lasts_twice_as_long_up_to_the_bound() {
        let mut standing = failed(failed(Standing::default(), 0), 0);
        let mut now = 0;
        let mut lasted = Vec::new();
        for _ in 0..100 {
            standing = failed(standing, now);
            lasted.push(standing.until_ms() - now);
            now = standing.until_ms();
        }
        assert_eq!(lasted[..5], [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(lasted[99], 5_000);
    }

    #[test]
    fn failures_of_a_node_that_is_out_change_nothing() {
        let mut standing = Standing::default();
        for _ in 0..3 {
            standing = failed(standing, 0);
        }
        assert_eq!(standing.failed(999, RULES), (standing, false));
    }

    #[test]
    fn a_success_forgets_failures_and_leaves_the_checks() {
        let (out, _) = Standing::default().failed(0, EjectRules::at_once(10));
        let mut standing = out;
        for _ in 0..3 {
            standing = standing.checked(CheckFound::Bad, CHECKS).0;
        }
        let forgiven = Standing::from_word(standing.word() & !FORGIVEN);
        assert_eq!((forgiven.until_ms(), forgiven.failures()), (0, 0));
        assert!(forgiven.is_unhealthy());
    }

    #[test]
    fn without_a_threshold_nothing_ejects() {
        let off = EjectRules { failures: 0, ..RULES };
        let (standing, ejected) = Standing::default().failed(7, off.without_patience());
        assert!(!ejected && !standing.is_out(7));
    }

    #[test]
    fn checks_turn_a_node_only_when_they_agree_in_a_row() {
        let mut standing = Standing::default();
        let mut story = String::new();
        for found in "bbgbbbgbggb".chars() {
            let found = if found == 'g' { CheckFound::Good } else { CheckFound::Bad };
            standing = standing.checked(found, CHECKS).0;
            story.push(if standing.is_unhealthy() { '-' } else { '+' });
        }
        assert_eq!(story, "+++++----++");
    }

    #[test]
    fn no_part_overflows_into_the_next() {
        let mut standing = Standing::default();
        for _ in 0..1_000 {
            standing = standing.failed(u64::MAX, RULES).0;
            standing = standing.failed(0, EjectRules::at_once(u64::MAX)).0;
            standing = standing.checked(CheckFound::Bad, CheckRules { rise: 1, fall: 200 }).0;
        }
        assert_eq!(standing.failures(), 255.min(standing.failures()));
        assert!(!standing.is_unhealthy(), "a run that cannot be counted never turns a node");
    }
}
