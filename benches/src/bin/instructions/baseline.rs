//! The baseline: what each count was when somebody last looked at it, and where.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Command;

/// Growth a count may have before the check fails.
pub const GROWTH_MAX: f64 = 0.03;

/// A step and the instructions it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// Name of the step.
    pub name: String,
    /// Instructions of one execution.
    pub instructions: f64,
}

/// Counts and where they were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// See [`place`].
    pub place: String,
    counts: Vec<Count>,
}

impl Baseline {
    /// From a file.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string(path)?))
    }

    /// Into a file, made here.
    pub fn write(path: &Path, counts: &[Count]) -> io::Result<()> {
        std::fs::write(path, render(&place(), counts))
    }

    fn parse(text: &str) -> Self {
        let place = text.lines().find_map(|line| line.strip_prefix(PLACE)).unwrap_or_default();
        let counts = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, instructions) = line.split_once(char::is_whitespace)?;
            let instructions = instructions.trim().parse().ok()?;
            Some(Count { name: name.to_owned(), instructions })
        });
        Self { place: place.trim().to_owned(), counts: counts.collect() }
    }

    /// A line for each count, and whether it is good.
    pub fn compare(&self, counts: &[Count]) -> Vec<(String, bool)> {
        let missing =
            self.counts.iter().filter(|known| !counts.iter().any(|c| c.name == known.name));
        let mut lines: Vec<_> = missing
            .map(|known| {
                (format!("{:<28} is in the baseline and was not counted", known.name), false)
            })
            .collect();
        lines.extend(counts.iter().map(|count| self.judge(count)));
        lines
    }

    fn judge(&self, count: &Count) -> (String, bool) {
        let Some(known) = self.counts.iter().find(|known| known.name == count.name) else {
            return (format!("{:<28} is not in the baseline: bless it", count.name), false);
        };
        let growth = count.instructions / known.instructions - 1.0;
        let word = match growth {
            growth if growth > GROWTH_MAX => "GROWN",
            growth if growth < -GROWTH_MAX => "shrunk: bless it, so that it stays so",
            _ => "as before",
        };
        let (name, now, before) = (&count.name, count.instructions, known.instructions);
        let line = format!(
            "{name:<28} {now:>10.1}  was {before:>10.1}  {:>+6.2} %  {word}",
            growth * 100.0
        );
        (line, growth <= GROWTH_MAX)
    }
}

/// What the counts depend on beside the code: compiler, C library, valgrind.
pub fn place() -> String {
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().unwrap_or("unknown").trim().to_owned()
    };
    let (compiler, valgrind) =
        (first_line("rustc", "--version"), first_line("valgrind", "--version"));
    format!("{compiler}, {}, {valgrind}", first_line("getconf", "GNU_LIBC_VERSION"))
}

fn render(place: &str, counts: &[Count]) -> String {
    let mut text = format!(
        "# Instructions under callgrind, one execution each; the router's release build for exchange/*.\n\
         # Counts over +{:.0} % fail `make instructions`. After a change that is worth it: \
         `make bless-instructions`.\n{PLACE}{place}\n",
        GROWTH_MAX * 100.0
    );
    for count in counts {
        let _ = writeln!(text, "{:<28} {:>10.1}", count.name, count.instructions);
    }
    text
}

const PLACE: &str = "# made with: ";

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, instructions: f64) -> Count {
        Count { name: name.to_owned(), instructions }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let counts = vec![count("parse/curl", 812.5), count("exchange/http", 20_000.0)];
        let read = Baseline::parse(&render("rustc 1, valgrind 2", &counts));
        assert_eq!(read, Baseline { place: "rustc 1, valgrind 2".to_owned(), counts });
    }

    #[test]
    fn growth_beyond_the_bound_an_unknown_and_a_lost_count_are_bad() {
        let baseline = Baseline { place: String::new(), counts: vec![count("a", 100.0)] };
        let good = |counts: &[Count]| baseline.compare(counts).iter().all(|(_, good)| *good);
        assert!(good(&[count("a", 102.9)]) && good(&[count("a", 50.0)]));
        assert!(!good(&[count("a", 103.1)]));
        assert!(!good(&[count("a", 100.0), count("b", 1.0)]));
        assert!(!good(&[]));
    }
}
