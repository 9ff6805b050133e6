//! The report as a page: targets first, then who was the limit, then every chapter and configuration.

use std::fmt::Write as _;

use super::finding::{Finding, trimmed};
use super::plots::Figure;
use crate::peers::Proxy;
use crate::report::table::{self, align};
use crate::report::{Comparison, Report};

/// The whole page.
pub fn render(report: &Report, figures: &[Figure]) -> String {
    let mut text = String::from("# Load test\n");
    let machine = &report.machine;
    let _ = writeln!(
        text,
        "\n{}, {} CPUs, {} MB, Linux {}; load average at the start {}. The run took {:.0} minutes. \
         Seed {}.\n\n`{}`\n",
        machine.cpu,
        machine.cpus,
        machine.memory_kb / 1024,
        machine.kernel,
        machine.load_average,
        report.took_s / 60.0,
        report.seed,
        command_line(&report.command),
    );
    let _ = writeln!(text, "## Targets\n\n{}", targets(&report.findings));
    let _ = writeln!(text, "{TARGETS_NOTE}\n");
    for figure in figures {
        let _ = writeln!(text, "![{}]({})\n", figure.title, figure.file);
    }
    let _ = writeln!(text, "## Is the client the limit?\n\n{}", limits(report));
    text.push_str("## Chapters\n");
    text.push_str(&table::render(report, Some(Proxy::Suzerain)));
    text.push_str("\n## Configurations\n");
    for comparison in &report.comparisons {
        configurations(&mut text, comparison);
    }
    text
}

/// What is printed at the end: the targets, and what was doubtful.
pub fn summary(report: &Report) -> String {
    let held = report.findings.iter().filter(|finding| finding.held == Some(true)).count();
    let measured = report.findings.iter().filter(|finding| finding.held.is_some()).count();
    let doubtful = doubtful(report);
    let noise = match doubtful.len() {
        0 => String::new(),
        _ => format!(
            "\nOther programs used more than 0.2 CPUs in: {}. Repeat on a quiet machine.",
            doubtful.join(", ")
        ),
    };
    format!("{}\n{held} of {measured} targets measured hold.{noise}", targets(&report.findings))
}

fn targets(findings: &[Finding]) -> String {
    let heading = ["scenario", "quantity", "ours", "peer", "target", "measured", "rounds", ""];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for finding in findings {
        let or_dash = |value: Option<f64>| {
            value.filter(|value| value.is_finite()).map_or("–".to_owned(), trimmed)
        };
        let peer = finding.against.as_ref().map(|(_, value)| *value);
        let range =
            finding.measured.map(|all| format!("{} to {}", trimmed(all.min), trimmed(all.max)));
        rows.push(vec![
            finding.scenario.clone(),
            finding.what.clone(),
            or_dash(finding.ours),
            or_dash(peer),
            finding.target(),
            or_dash(finding.measured.map(|all| all.median)),
            range.unwrap_or_default(),
            finding.outcome().to_owned(),
        ]);
    }
    align(&rows)
}

/// CPUs that client and upstream used, beside what they can do without a proxy.
fn limits(report: &Report) -> String {
    let heading =
        ["chapter", "requests/s", "proxy CPUs", "client CPUs", "client µs", "upstream CPUs"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for comparison in &report.comparisons {
        let proxy = if comparison.title == CLIENT_ALONE { Proxy::Direct } else { Proxy::Suzerain };
        let summary = comparison.summary(proxy);
        let Some(load) = summary.and_then(|summary| summary.load.as_ref()) else { continue };
        // Without a proxy the upstream stands in its place.
        let alone = proxy == Proxy::Direct;
        rows.push(vec![
            comparison.title.clone(),
            format!("{:.0}", load.requests_per_s.median),
            if alone { "–".to_owned() } else { format!("{:.2}", load.cpus.median) },
            format!("{:.2}", load.client_cpus.median),
            format!("{:.2}", load.client_us.median),
            format!("{:.2}", if alone { load.cpus.median } else { load.upstream_cpus.median }),
        ]);
    }
    format!("{}\n{LIMITS_NOTE}\n", align(&rows))
}

fn doubtful(report: &Report) -> Vec<&str> {
    let noisy = report.comparisons.iter().filter(|comparison| {
        let samples = comparison.rounds.iter().filter_map(|round| round.sample.as_ref());
        samples.clone().any(|sample| sample.foreign_cpus > table::FOREIGN_CPUS_DOUBTFUL)
    });
    noisy.map(|comparison| comparison.title.as_str()).collect()
}

/// One block for each proxy of a chapter; ports and folders differ from start to start.
fn configurations(text: &mut String, comparison: &Comparison) {
    let _ = writeln!(text, "\n### {}\n", comparison.title);
    for setup in &comparison.setups {
        let arguments: Vec<String> =
            setup.launch.arguments.iter().map(|one| one.to_string_lossy().into_owned()).collect();
        let _ = writeln!(text, "`{} {}`\n", setup.proxy.name(), arguments.join(" "));
        if let Some(file) = &setup.launch.file {
            let _ = writeln!(text, "```\n{}```\n", file.text);
        }
    }
}

/// The command as somebody else would type it: without the folders of this machine.
fn command_line(command: &[String]) -> String {
    let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
    if let Some(program) = words.first_mut() {
        *program = program.rsplit('/').next().unwrap_or(program);
    }
    words.join(" ")
}

const CLIENT_ALONE: &str = "client-maximum";
const TARGETS_NOTE: &str = "A ratio is ours to the peer's, paired round by round; the median counts, the \
    range is over the rounds. \"The better\" is the peer with the better median.";
const LIMITS_NOTE: &str = "`client-maximum` is the client against the upstream without a proxy, a CPU each: \
    what the generator can ask for at most. Everywhere else client and upstream share a CPU (in `saturated` \
    the upstream shares the proxy's), so requests/s are no capacity unless the proxy used a whole CPU; CPU per \
    request does not depend on who sets the pace, but for batching, which `saturated` shows.";
