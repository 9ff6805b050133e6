//! The report as a Markdown table with its footnotes.

use std::fmt::Write as _;

use super::summary::{LoadSummary, Summary};
use super::{Comparison, Contender, Report};
use crate::peers::Proxy;
use crate::scenario::{Case, Scenario};

/// The machine, the versions and every scenario of the report.
pub fn render(report: &Report, reference: Option<Proxy>) -> String {
    let mut text = String::new();
    let machine = &report.machine;
    let _ = writeln!(text, "\n{}, {} CPUs, Linux {}", machine.cpu, machine.cpus, machine.kernel);
    for contender in &report.proxies {
        let _ = writeln!(text, "- {}", describe(contender));
    }
    for comparison in &report.comparisons {
        render_comparison(&mut text, report, comparison, reference);
    }
    text
}

fn describe(contender: &Contender) -> String {
    let name = contender.proxy.name();
    match (&contender.skipped, &contender.version) {
        (Some(why), _) => format!("{name}: skipped, {why}"),
        (None, Some(version)) => format!("{name}: {version}"),
        (None, None) => name.to_owned(),
    }
}

/// One scenario.
fn render_comparison(
    text: &mut String,
    report: &Report,
    comparison: &Comparison,
    reference: Option<Proxy>,
) {
    let pace = match comparison.rate {
        Some(rate) => format!("open loop at {rate} requests/s"),
        None => "closed loop".to_owned(),
    };
    let rounds = comparison.rounds.iter().map(|round| round.round + 1).max().unwrap_or(0);
    let _ = writeln!(
        text,
        "\n### {} ({} byte bodies, {} connections, {pace}, {rounds} × {} s, CPUs: proxy {}, \
         client {}, upstream {})\n",
        comparison.title,
        comparison.body_bytes,
        comparison.connections,
        comparison.window_s,
        cpus(&comparison.cores.proxy),
        comparison.cores.client,
        comparison.cores.upstream,
    );
    let rows = rows(report, comparison, reference);
    text.push_str(&align(&rows));
    for line in footnotes(report, comparison, reference) {
        let _ = writeln!(text, "\n{line}");
    }
}

/// `0`, or `0+1`.
fn cpus(list: &[usize]) -> String {
    list.iter().map(usize::to_string).collect::<Vec<_>>().join("+")
}

fn rows(report: &Report, comparison: &Comparison, reference: Option<Proxy>) -> Vec<Vec<String>> {
    let columns = Columns {
        load: comparison.summary.iter().any(|summary| summary.load.is_some()),
        big: comparison.scenario.is_big(),
        memory: comparison.idle_connections > 0,
    };
    let idle_heading = format!("RSS KB {} idle", comparison.idle_connections);
    let to_reference = format!("× {}", reference.map_or("reference", Proxy::name));
    let mut heading = vec!["proxy"];
    if columns.load {
        heading.extend(["req/s", "CPU µs/req", "user", "sys", "±", &to_reference]);
        if columns.big {
            heading.extend(["CPU ms/GB", "Gbit/s"]);
        }
        heading.extend(["p50 µs", "p99 µs", "p99.9 µs", "CPUs", "client", "upstream", "errors"]);
    }
    if columns.memory {
        heading.extend(["RSS KB 0", &idle_heading, "KB/conn"]);
    }
    let width = heading.len();
    let mut rows = vec![heading.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for contender in &report.proxies {
        let proxy = contender.proxy;
        let mut row = vec![label(comparison.scenario, proxy)];
        match comparison.summary(proxy) {
            Some(summary) => row.extend(cells(summary, columns)),
            None => row.push(why_absent(comparison, contender)),
        }
        row.resize(width, String::new());
        rows.push(row);
    }
    rows
}

/// Which columns a table has.
#[derive(Clone, Copy)]
struct Columns {
    load: bool,
    big: bool,
    memory: bool,
}

/// The proxy's name, starred where a footnote belongs to it.
fn label(scenario: Scenario, proxy: Proxy) -> String {
    let star = if scenario.footnote(proxy).is_some() { " *" } else { "" };
    format!("{}{star}", proxy.name())
}

fn why_absent(comparison: &Comparison, contender: &Contender) -> String {
    let failed = |round: &super::Round| round.proxy == contender.proxy && round.failed.is_some();
    if contender.skipped.is_some() {
        "skipped".to_owned()
    } else if comparison.scenario.upstream(contender.proxy).is_none() {
        "not applicable".to_owned()
    } else if comparison.rounds.iter().any(failed) {
        "failed".to_owned()
    } else {
        "left out".to_owned()
    }
}

fn cells(summary: &Summary, columns: Columns) -> Vec<String> {
    let optional = |spread: Option<crate::statistics::Spread>, decimals: usize| {
        spread.map_or("-".to_owned(), |spread| format!("{:.decimals$}", spread.median))
    };
    let mut cells = Vec::new();
    if columns.load {
        match &summary.load {
            Some(load) => cells.extend(load_cells(load, columns)),
            None => cells.resize(if columns.big { 15 } else { 13 }, "-".to_owned()),
        }
    }
    if columns.memory {
        cells.extend([
            optional(summary.rss_kb_empty, 0),
            optional(summary.rss_kb_idle, 0),
            optional(summary.kb_per_connection, 2),
        ]);
    }
    cells
}

fn load_cells(load: &LoadSummary, columns: Columns) -> Vec<String> {
    let mut cells = vec![
        format!("{:.0}", load.requests_per_s.median),
        format!("{:.2}", load.cpu_us.median),
        format!("{:.2}", load.user_us.median),
        format!("{:.2}", load.system_us.median),
        format!("{:.0} %", load.cpu_us.half_width_percent()),
        load.cpu_to_reference.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
    ];
    if columns.big {
        cells.push(format!("{:.0}", load.cpu_ms_per_gb.median));
        cells.push(format!("{:.2}", load.gbit_per_s.median));
    }
    cells.extend([
        format!("{:.0}", load.p50_us.median),
        format!("{:.0}", load.p99_us.median),
        format!("{:.0}", load.p999_us.median),
        format!("{:.2}", load.cpus.median),
        format!("{:.2}", load.client_cpus.median),
        format!("{:.2}", load.upstream_cpus.median),
        load.errors.to_string(),
    ]);
    cells
}

fn footnotes(report: &Report, comparison: &Comparison, reference: Option<Proxy>) -> Vec<String> {
    let mut lines = Vec::new();
    for proxy in report.proxies.iter().map(|contender| contender.proxy) {
        if let Some(note) = comparison.scenario.footnote(proxy) {
            lines.push(format!("\\* {}: {note}", proxy.name()));
        }
    }
    let shares_client = comparison.case == Case::Keep && comparison.rate.is_none();
    if shares_client && comparison.summary.iter().any(|summary| summary.load.is_some()) {
        lines.push(
            "Compare CPU per request: client and upstream share a CPU here and often are the \
             limit, so requests/s and latency are no capacity (`--case sat` saturates the proxy)."
                .to_owned(),
        );
    }
    for round in &comparison.rounds {
        if let Some(why) = &round.failed {
            lines.push(format!("FAILED: {} in round {}: {why}", round.proxy.name(), round.round));
        }
        for (kind, count) in round.sample.iter().flat_map(|sample| &sample.failures) {
            let name = round.proxy.name();
            lines.push(format!("ERRORS: {name} in round {}: {count} × {kind}", round.round));
        }
    }
    for summary in &comparison.summary {
        let name = summary.proxy.name();
        if summary.idle_lost > 0 {
            lines.push(format!("{name} closed {} of its idle connections.", summary.idle_lost));
        }
        let foreign_cpus = summary.load.as_ref().map_or(0.0, |load| load.foreign_cpus_max);
        if foreign_cpus > FOREIGN_CPUS_DOUBTFUL {
            lines.push(format!(
                "Doubtful: other programs used up to {foreign_cpus:.1} CPUs while {name} was \
                 measured."
            ));
        }
    }
    lines.extend(by_unit(comparison));
    lines.extend(ratios(comparison, reference));
    lines
}

/// What is counted where it is no request.
fn by_unit(comparison: &Comparison) -> Option<String> {
    let unit = comparison.scenario.unit()?;
    let rates: Vec<String> = loads(comparison)
        .map(|(proxy, load)| format!("{} {:.0}", proxy.name(), 1e6 / load.cpu_us.median))
        .collect();
    let rates = rates.join(", ");
    (!rates.is_empty())
        .then(|| format!("A \"request\" is one {unit}. Of these per CPU second: {rates}."))
}

fn loads(comparison: &Comparison) -> impl Iterator<Item = (Proxy, &LoadSummary)> {
    let summaries = comparison.summary.iter();
    summaries.filter_map(|summary| summary.load.as_ref().map(|load| (summary.proxy, load)))
}

/// One line per peer: the reference's CPU per request against it, with the range over the rounds.
fn ratios(comparison: &Comparison, reference: Option<Proxy>) -> Vec<String> {
    let Some(reference) = reference else { return Vec::new() };
    let others = loads(comparison).filter(|(proxy, _)| *proxy != reference);
    others
        .filter_map(|(proxy, load)| {
            let ratio = load.reference_to_this?;
            Some(format!(
                "CPU per request, {} / {}: **{:.2}** (rounds {:.2} to {:.2})",
                reference.name(),
                proxy.name(),
                ratio.median,
                ratio.min,
                ratio.max
            ))
        })
        .collect()
}

/// A Markdown table with columns padded for reading as plain text.
pub fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = match column {
                0 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                text.push_str(&if column == 0 {
                    format!("|{dashes}-")
                } else {
                    format!("|{dashes}:")
                });
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Above this a round says as much about the others as about the proxy.
pub const FOREIGN_CPUS_DOUBTFUL: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_to_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = align(&[row(["proxy", "µs"]), row(["ours", "12.34"])]);
        assert_eq!(text, "| proxy |    µs |\n|-------|------:|\n| ours  | 12.34 |\n");
    }
}
