//! What came of one target: a line of the table everybody reads.

use serde::Serialize;

use crate::statistics::Spread;

/// A target, what was measured for it, and whether it holds.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The chapter.
    pub scenario: String,
    /// The quantity, with its unit.
    pub what: String,
    /// Ours, in that unit.
    pub ours: Option<f64>,
    /// What it is compared with: a peer and its value, or nothing where the target is absolute.
    pub against: Option<(String, f64)>,
    /// Which way the target points.
    pub sense: Sense,
    /// The target: a ratio to the peer, or a value where there is none.
    pub limit: f64,
    /// The ratio, or the value, over the rounds.
    pub measured: Option<Spread>,
    /// Whether the median keeps to the target; nothing where it was not measured.
    pub held: Option<bool>,
}

/// Which way a target points.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sense {
    /// Small is good.
    AtMost,
    /// Much is good.
    AtLeast,
}

impl Sense {
    /// Whether `value` keeps to `limit`.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::AtMost => value <= limit,
            Self::AtLeast => value >= limit,
        }
    }

    /// As people write it.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::AtMost => "≤",
            Self::AtLeast => "≥",
        }
    }
}

impl Finding {
    /// The target in words: `≤ 0.75 of haproxy`.
    pub fn target(&self) -> String {
        let limit = format!("{} {}", self.sense.sign(), trimmed(self.limit));
        match &self.against {
            Some((peer, _)) => format!("{limit} of {peer}"),
            None => limit,
        }
    }

    /// `held`, `missed` or `not measured`.
    pub fn outcome(&self) -> &'static str {
        match self.held {
            Some(true) => "held",
            Some(false) => "**missed**",
            None => "not measured",
        }
    }
}

/// At most three decimals, none for nothing.
pub fn trimmed(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_as_people_write_it() {
        let mut finding = Finding {
            scenario: "keepalive".to_owned(),
            what: "CPU µs per request".to_owned(),
            ours: None,
            against: Some(("haproxy".to_owned(), 10.0)),
            sense: Sense::AtMost,
            limit: 0.75,
            measured: None,
            held: None,
        };
        assert_eq!(finding.target(), "≤ 0.75 of haproxy");
        assert_eq!(finding.outcome(), "not measured");
        finding.against = None;
        finding.limit = 12.0;
        assert_eq!(finding.target(), "≤ 12");
        assert!(Sense::AtLeast.holds(1.5, 1.5) && !Sense::AtMost.holds(1.51, 1.5));
        assert_eq!((trimmed(1234.5), trimmed(0.5)), ("1234".to_owned(), "0.5".to_owned()));
    }
}
