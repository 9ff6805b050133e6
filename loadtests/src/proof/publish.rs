//! Puts the results of a run into a document, between two marks, with the figures beside it.
//!
//! What people wrote around the marks stays: a number is copied by nobody.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::page;
use super::plots::Figure;
use crate::report::Report;

/// Rewrites the part of `document` between the marks; copies the figures from `folder` to `figures/`
/// beside it.
pub fn into(document: &Path, report: &Report, figures: &[Figure], folder: &Path) -> Result<()> {
    let place = || format!("{}", document.display());
    let text = std::fs::read_to_string(document).with_context(place)?;
    let beside = document.parent().unwrap_or(Path::new(".")).join("figures");
    std::fs::create_dir_all(&beside).with_context(|| format!("making {}", beside.display()))?;
    for figure in figures {
        let from = folder.join(figure.file);
        std::fs::copy(&from, beside.join(figure.file))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    let results = results(report, figures);
    let text = replaced(&text, &results).with_context(|| format!("{}: no marks", place()))?;
    std::fs::write(document, text).with_context(place)
}

fn results(report: &Report, figures: &[Figure]) -> String {
    let versions = report.proxies.iter().filter_map(|contender| contender.version.clone());
    let versions: Vec<String> =
        versions.filter(|version| !version.starts_with("loadtests")).collect();
    let mut text = format!(
        "{}; {}, {} CPUs, Linux {}; {:.0} minutes. {}.\n\n{}\n",
        day(report.started_unix),
        report.machine.cpu,
        report.machine.cpus,
        report.machine.kernel,
        report.took_s / 60.0,
        versions.join("; "),
        page::summary(report)
    );
    if let Some(commit) = commit() {
        text = format!("Commit {commit}, {text}");
    }
    for figure in figures {
        text.push_str(&format!("\n![{}](figures/{})\n", figure.title, figure.file));
    }
    text
}

fn replaced(text: &str, results: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{results}\n{END}{after}"))
}

/// The commit that is checked out, where that can be told.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}

/// The day in UTC, as `2026-11-24` (days to date after Howard Hinnant's `civil_from_days`).
fn day(unix: u64) -> String {
    let days = unix / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{:02}", of_year - (153 * shifted + 2) / 5 + 1)
}

const BEGIN: &str = "<!-- results: written by `loadtests proof --publish` -->";
const END: &str = "<!-- results: end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_marks_is_replaced() {
        let text = format!("# A\n\n{BEGIN}\nold\n{END}\n\nby hand\n");
        let once = replaced(&text, "new").unwrap();
        assert_eq!(once, format!("# A\n\n{BEGIN}\n\nnew\n{END}\n\nby hand\n"));
        assert_eq!(replaced(&once, "new").unwrap(), once);
        assert_eq!(replaced("# A\n", "new"), None);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(951_782_400), "2000-02-29");
        assert_eq!(day(1_795_521_600), "2026-11-24");
    }
}
