//! A page of metrics in the Prometheus text format 0.0.4.
//!
//! The page takes families from the catalogue and samples from whoever has the numbers. It writes
//! each `# HELP` and `# TYPE` pair once, before the family's samples, and escapes label values, so
//! that a hostile key cannot invent a sample.

use std::fmt::Write as _;

use super::catalog::{Family, Kind};
use super::histogram::{BOUNDS_US, BUCKETS};

/// Something that has samples to show at a scrape.
///
/// Called on the admin thread; may take milliseconds, must not block on a worker.
pub trait Collector: Send + Sync {
    /// Writes this collector's families, each one completely before the next.
    fn collect(&self, page: &mut Page);
}

/// The text written so far.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    family: Option<&'static Family>,
    #[cfg(debug_assertions)]
    finished: Vec<&'static str>,
}

impl Page {
    /// Writes one sample; `labels` are the values of the family's label names, in their order.
    pub fn sample(&mut self, family: &'static Family, labels: &[&str], value: u64) {
        self.begin(family);
        self.name(family, "", labels, None);
        let _ = writeln!(self.text, " {value}");
    }

    /// Writes one sample whose unit is seconds, exactly, from microseconds.
    pub fn seconds(&mut self, family: &'static Family, labels: &[&str], us: u64) {
        self.begin(family);
        self.name(family, "", labels, None);
        self.text.push(' ');
        push_seconds(&mut self.text, us);
        self.text.push('\n');
    }

    /// Writes one histogram in seconds from counts per bucket (not cumulative) and their sum.
    pub fn histogram(&mut self, family: &'static Family, counts: &[u64; BUCKETS], sum_us: u64) {
        debug_assert_eq!(family.kind, Kind::Histogram);
        self.begin(family);
        let mut cumulative = 0;
        let mut bound = String::new();
        for (i, count) in counts.iter().enumerate() {
            cumulative += count;
            bound.clear();
            match BOUNDS_US.get(i) {
                Some(us) => push_seconds(&mut bound, *us),
                None => bound.push_str("+Inf"),
            }
            self.name(family, "_bucket", &[], Some(&bound));
            let _ = writeln!(self.text, " {cumulative}");
        }
        self.name(family, "_sum", &[], None);
        self.text.push(' ');
        push_seconds(&mut self.text, sum_us);
        self.text.push('\n');
        self.name(family, "_count", &[], None);
        let _ = writeln!(self.text, " {cumulative}");
    }

    /// The page's text.
    pub fn into_text(self) -> String {
        self.text
    }

    fn begin(&mut self, family: &'static Family) {
        if self.family.is_some_and(|current| std::ptr::eq(current, family)) {
            return;
        }
        #[cfg(debug_assertions)]
        {
            assert!(!self.finished.contains(&family.name), "{} begun twice", family.name);
            self.finished.push(family.name);
        }
        self.family = Some(family);
        let _ = writeln!(self.text, "# HELP {} {}", family.name, family.help);
        let _ = writeln!(self.text, "# TYPE {} {}", family.name, family.kind.label());
    }

    fn name(&mut self, family: &Family, suffix: &str, labels: &[&str], le: Option<&str>) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        self.text.push_str(family.name);
        self.text.push_str(suffix);
        let pairs = family.labels.iter().copied().zip(labels.iter().copied());
        let mut separator = '{';
        for (label, value) in pairs.chain(le.map(|bound| ("le", bound))) {
            self.text.push(separator);
            self.text.push_str(label);
            self.text.push_str("=\"");
            push_label_value(&mut self.text, value);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
    }
}

/// The format knows three escapes; every other character may stand as it is.
fn push_label_value(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

/// Seconds with as many digits as needed, never through a float: `0.00005`, `1.5`, `3`.
fn push_seconds(text: &mut String, us: u64) {
    let _ = write!(text, "{}", us / 1_000_000);
    let rest = us % 1_000_000;
    if rest != 0 {
        let _ = write!(text, ".{rest:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
}
