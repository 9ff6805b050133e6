//! `docs/METRICS.md` as written from the catalogue.

use std::fmt::Write as _;

use super::catalog::FAMILIES;
use super::table::BUSIEST_KEYS_MAX;

/// The whole document.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    let _ = write!(text, "{}", bounds());
    text.push_str("\n| name | kind | labels | meaning |\n|---|---|---|---|\n");
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|l| format!("`{l}`")).collect();
        let (name, kind, labels) = (family.name, family.kind.label(), labels.join(", "));
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {} |", family.help);
    }
    text
}

fn bounds() -> String {
    format!(
        "Series with a `key` label are shown for the {BUSIEST_KEYS_MAX} keys with the most requests \
         at the moment of\nthe scrape, so that a router with a million keys still has a page of \
         bounded size; `suzerain_keys` counts them all.\n"
    )
}

const HEAD: &str = "\
# Metrics

Written from `proxy/router-core/src/metrics/catalog.rs`; a test compares. To rewrite it after a
change there: `BLESS=1 cargo test -p router-core document_lists_the_catalogue`.

`GET /metrics` on the admin address answers in the Prometheus text format. Counters start at 0 with
the process. Durations are histograms with two buckets per octave from 50 µs to 105 s, the same for
all, so that the buckets of several routers add up.

";
