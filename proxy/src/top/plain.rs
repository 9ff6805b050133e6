//! One look as text, for files, pipes and people without a terminal.

use std::fmt::Write as _;

use super::figures::{Figures, rate};
use super::screen::{clean, held, state_name};

/// All of it; what is not known yet is a dash.
pub(super) fn text(figures: Option<&Figures>) -> String {
    let Some(figures) = figures else { return String::new() };
    let mut text = format!("{}: {}\n", figures.title, figures.state);
    let numbers: Vec<_> =
        figures.numbers.iter().map(|(label, value)| format!("{label} {value}")).collect();
    let _ = writeln!(text, "{}", numbers.join(", "));
    for (core, share) in figures.cores.iter().enumerate() {
        let share = share.map_or_else(|| "-".to_owned(), |share| format!("{share:.0} %"));
        let _ = writeln!(text, "core {core}: {share}");
    }
    for (name, days) in &figures.certificates {
        let _ = writeln!(text, "certificate {}: {days} days", clean(name));
    }
    for (reason, count, per_second) in &figures.rejects {
        let _ = writeln!(text, "rejected, {reason}: {count}, {}/s", rate(*per_second));
    }
    let _ = writeln!(
        text,
        "\n{:<40} {:>10} {:>12} {:>9} {:>9}",
        "KEY", "REQUESTS/S", "REQUESTS", "IN FLIGHT", "REFUSED"
    );
    for row in &figures.keys.rows {
        let _ = writeln!(
            text,
            "{:<40} {:>10} {:>12} {:>9} {:>9}",
            clean(&row.key),
            rate(row.per_second),
            row.requests,
            row.in_flight,
            row.refused
        );
        for node in &row.nodes {
            let vassal = node.vassal.as_deref().map(|name| format!(" vassal {}", clean(name)));
            let _ = writeln!(
                text,
                "  {}{} {} {} {} served {} failed",
                clean(&node.node),
                vassal.unwrap_or_default(),
                state_name(node.state),
                held(node.lease),
                node.requests,
                node.failures
            );
        }
    }
    let _ = writeln!(text, "{} of {} keys", figures.keys.rows.len(), figures.keys.matched);
    text
}
