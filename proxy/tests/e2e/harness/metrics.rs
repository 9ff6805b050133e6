//! Reading the Prometheus text the router publishes.

/// One sample.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

/// A whole exposition.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub samples: Vec<Sample>,
    /// Names that carry a `# HELP` line.
    pub helped: Vec<String>,
    /// Names that carry a `# TYPE` line.
    pub typed: Vec<String>,
}

impl Metrics {
    /// Parses an exposition.
    ///
    /// # Panics
    /// On a line a Prometheus server would refuse.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let mut metrics = Self { samples: Vec::new(), helped: Vec::new(), typed: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let first_word = |rest: &str| rest.split(' ').next().unwrap_or_default().to_owned();
            if let Some(rest) = line.strip_prefix("# HELP ") {
                metrics.helped.push(first_word(rest));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                metrics.typed.push(first_word(rest));
            } else if !line.starts_with('#') {
                metrics.samples.push(parse_sample(line));
            }
        }
        metrics
    }

    /// Sum of the samples of that name whose labels include all of `labels`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(key, value)| {
                    sample.labels.iter().any(|(known, held)| known == key && held == value)
                })
        };
        self.samples.iter().filter(wanted).map(|sample| sample.value).sum()
    }

    /// The non-zero samples of a name, for a failure message.
    pub fn non_zero(&self, name: &str) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name == name && sample.value != 0.0).collect()
    }
}

#[track_caller]
fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("sample {line:?}"));
    let value = value.parse().unwrap_or_else(|_| panic!("value of {line:?}"));
    let Some((name, rest)) = series.split_once('{') else {
        return Sample { name: series.to_owned(), labels: Vec::new(), value };
    };
    let labels = rest.strip_suffix('}').unwrap_or_else(|| panic!("labels of {line:?}"));
    let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
        let (key, held) = label.split_once("=\"").unwrap_or_else(|| panic!("label of {line:?}"));
        (key.to_owned(), held.trim_end_matches('"').to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value }
}
