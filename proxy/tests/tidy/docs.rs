//! Documents that must keep up with the code.

use std::path::Path;

use crate::tree::{expect_none, files, read, root};

#[test]
fn links_between_documents_point_somewhere() {
    let mut wrong = Vec::new();
    for path in files().iter().filter(|path| path.ends_with(".md")) {
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        for target in links(&read(path)) {
            let file = target.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:");
            if outside || file.is_empty() || root().join(folder).join(file).exists() {
                continue;
            }
            wrong.push(format!("{path}: {target}"));
        }
    }
    expect_none("links that point nowhere", &wrong);
}

/// Targets of `[text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let in_span = line[..at].matches('`').count() % 2 == 1;
            if !in_span && let Some(target) = line[at + 2..].split(')').next() {
                found.push(target.trim().to_owned());
            }
        }
    }
    found
}

/// Names of `names` that `document` does not mention as code; nothing if there is no document.
fn missing_in(document: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    if !root().join(document).exists() {
        eprintln!("{document} does not exist yet");
        return Vec::new();
    }
    let text = read(document);
    let mentioned = |name: &String| text.contains(&format!("`{name}`"));
    names.filter(|name| !mentioned(name)).collect()
}

#[test]
fn every_option_is_in_config_md() {
    let names = proxy::config::catalog::OPTIONS.iter().map(|facts| facts.key());
    expect_none("options missing in docs/CONFIG.md", &missing_in("docs/CONFIG.md", names));
}

#[test]
fn every_metric_is_in_metrics_md() {
    let names = router_core::metrics::catalog::FAMILIES.iter();
    let names = names.map(|family| family.name.to_owned());
    expect_none("metrics missing in docs/METRICS.md", &missing_in("docs/METRICS.md", names));
}

#[test]
fn every_refusal_of_a_subscription_is_documented() {
    let labels = subscribe::Reject::ALL.iter().map(|reject| reject.label().to_owned());
    let document = "docs/REJECT_TABLE.md";
    expect_none("refusals missing in docs/REJECT_TABLE.md", &missing_in(document, labels));
}

#[test]
fn every_fuzz_target_has_a_corpus() {
    let all = files();
    let targets = all.iter().filter_map(|path| {
        path.strip_prefix("fuzz/fuzz_targets/").and_then(|name| name.strip_suffix(".rs"))
    });
    let without = targets.filter(|target| {
        let corpus = format!("fuzz/corpus/{target}/");
        !all.iter().any(|path| path.starts_with(&corpus))
    });
    let without: Vec<_> = without.map(str::to_owned).collect();
    expect_none("fuzz targets without a corpus", &without);
}
