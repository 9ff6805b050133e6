//! One line of the result: what was asked, what was found, how far the rounds disagreed.

use std::fmt;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::statistics::Spread;

/// One measured quantity.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    name: String,
    /// What every number of this row counts.
    unit: &'static str,
    /// The most it should be; none for a number shown beside others.
    target: Option<f64>,
    /// Over the rounds.
    measured: Spread,
    /// Whether the median keeps to the target.
    is_met: Option<bool>,
}

impl Row {
    /// The line above the rows.
    pub const HEADING: &str = "what                                                          target   measured   \
                               (min .. max)            unit";

    /// A number with a target that it must not be above.
    pub fn judged(
        name: impl Into<String>,
        unit: &'static str,
        target: f64,
        values: impl IntoIterator<Item = f64>,
    ) -> Result<Self> {
        let mut row = Self::shown(name, unit, values)?;
        row.target = Some(target);
        row.is_met = Some(row.measured.median <= target);
        Ok(row)
    }

    /// A number that explains others.
    pub fn shown(
        name: impl Into<String>,
        unit: &'static str,
        values: impl IntoIterator<Item = f64>,
    ) -> Result<Self> {
        let name = name.into();
        let measured = Spread::of(values).with_context(|| format!("nothing measured: {name}"))?;
        Ok(Self { name, unit, target: None, measured, is_met: None })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.is_met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let target = self.target.map_or_else(String::new, |most| format!("≤ {}", short(most)));
        let Spread { median, min, max } = self.measured;
        let range = format!("({} .. {})", short(min), short(max));
        write!(
            out,
            "{:<60} {target:>8} {:>10}   {range:<23} {} {mark}",
            self.name,
            short(median),
            self.unit
        )
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_met_by_its_median_and_not_by_its_best_round() {
        let row = Row::judged("x", "ms", 2.0, [1.0, 3.0, 4.0]).unwrap();
        assert_eq!(row.is_met, Some(false));
        assert!(row.to_string().contains("MISSED"));
        let row = Row::judged("x", "ms", 3.0, [1.0, 3.0, 4.0]).unwrap();
        assert_eq!(row.is_met, Some(true));
        assert!(Row::shown("x", "ms", []).is_err());
    }
}
