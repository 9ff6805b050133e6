//! The rows of the `control` command as findings of a proof.
//!
//! It runs as a program of its own, because it needs the CPUs for itself; what it writes is read from its
//! JSON. Its rows without a target explain others and stay in that file.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::finding::{Finding, Sense};
use crate::statistics::Spread;

/// What `control` wrote; more is in it.
#[derive(Debug, Deserialize)]
struct Written {
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    unit: String,
    target: Option<f64>,
    measured: Measured,
    is_met: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    median: f64,
    min: f64,
    max: f64,
}

/// Measures all its rows; the JSON stays in `folder`. Where one group of rows could not be measured, the
/// others are found all the same, beside the error.
pub fn measure(suzerain: &Path, rounds: u32, folder: &Path) -> (Vec<Finding>, Result<()>) {
    let json = folder.join("control.json");
    let ran = run(suzerain, rounds, &json);
    let found = std::fs::read(&json).context("it wrote nothing").and_then(|text| read(&text));
    match (found, ran) {
        (Ok(findings), ran) => (findings, ran),
        (Err(_), Err(error)) | (Err(error), Ok(())) => (Vec::new(), Err(error)),
    }
}

fn run(suzerain: &Path, rounds: u32, json: &Path) -> Result<()> {
    let this = std::env::current_exe().context("finding this program")?;
    // One of an earlier run must not pass for this one's.
    let _ = std::fs::remove_file(json);
    let status = Command::new(this)
        .arg("control")
        .args(["--rounds", &rounds.to_string()])
        .arg("--suzerain")
        .arg(suzerain)
        .arg("--json")
        .arg(json)
        .status()
        .context("starting the measurement of the control side")?;
    anyhow::ensure!(status.success(), "it ended with {status}");
    Ok(())
}

fn read(text: &[u8]) -> Result<Vec<Finding>> {
    let written: Written = serde_json::from_slice(text).context("odd JSON of the control side")?;
    let judged = written.rows.into_iter().filter_map(|row| {
        let limit = row.target?;
        let Measured { median, min, max } = row.measured;
        Some(Finding {
            scenario: TITLE.to_owned(),
            what: format!("{}, {}", row.name, row.unit),
            ours: Some(median),
            against: None,
            sense: Sense::AtMost,
            limit,
            measured: Some(Spread { median, min, max }),
            held: row.is_met,
        })
    });
    Ok(judged.collect())
}

/// Name of the chapter.
pub const TITLE: &str = "control";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_a_target_become_findings() {
        let text = br#"{"router": "x", "rows": [
            {"name": "memory of a key", "unit": "bytes", "target": 600.0, "is_met": true,
             "measured": {"median": 590.0, "min": 580.0, "max": 595.0}},
            {"name": "keys", "unit": "count", "target": null, "is_met": null,
             "measured": {"median": 1.0, "min": 1.0, "max": 1.0}}]}"#;
        let findings = read(text).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].target().as_str(), findings[0].held), ("≤ 600", Some(true)));
        assert!(read(b"{}").is_err());
    }
}
