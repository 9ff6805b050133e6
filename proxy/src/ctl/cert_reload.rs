//! `cert reload`: has certificates read again and says what came of each.
//!
//! A pair that is refused makes the command fail, so that whatever renews certificates learns of it.

use std::{fmt::Write as _, time::Duration};

use router_core::ctl::CtlRefusal;

use crate::tls::cert_load::{Errands, ReloadReport, Reloadable};

/// How long reading everything may take.
const READ_WAIT: Duration = Duration::from_secs(60);

const _: () = assert!(READ_WAIT.as_secs() < router_core::ctl::limits::CONNECTION_TIMEOUT.as_secs());

/// Reads again what is meant.
///
/// # Errors
/// There is nothing to read, a pair was refused, or it takes too long.
pub fn cert_reload(certs: &Errands, what: &Reloadable) -> Result<String, CtlRefusal> {
    let report = certs.reload(what.clone(), READ_WAIT);
    let report = report.map_err(|why| CtlRefusal::Failed(why.to_string()))?;
    if report.read == 0 && *what != Reloadable::All {
        return Err(CtlRefusal::NotFound(format!("there are no files to read for {what}")));
    }
    let text = text(&report);
    if report.refused > 0 { Err(CtlRefusal::Failed(text)) } else { Ok(text) }
}

/// A line for all of them, and one for each that is worth one.
fn text(report: &ReloadReport) -> String {
    let ReloadReport { read, loaded, unchanged, refused, lines } = report;
    let pairs = if *read == 1 { "pair" } else { "pairs" };
    let mut text =
        format!("{read} {pairs} read: {loaded} loaded, {unchanged} unchanged, {refused} refused");
    // What failed comes first: the audit log keeps the beginning.
    let told = lines.iter().filter(|line| *read == 1 || line.outcome != "unchanged");
    let (bad, good): (Vec<_>, Vec<_>) = told.partition(|line| line.outcome == "refused");
    for line in bad.into_iter().chain(good) {
        let _ = write!(text, "\n{} {}", line.name, line.outcome);
        if let Some(why) = &line.why {
            let _ = write!(text, ": {why}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::cert_load::ReloadLine;

    #[test]
    fn what_was_refused_is_told_first_and_with_its_reason() {
        let line = |name: &str, outcome, why: Option<&str>| ReloadLine {
            name: name.to_owned(),
            outcome,
            why: why.map(ToOwned::to_owned),
        };
        let lines = vec![
            line("default", "unchanged", None),
            line("default 2", "loaded", None),
            line("directory a", "refused", Some("no")),
        ];
        let report = ReloadReport { read: 3, loaded: 1, unchanged: 1, refused: 1, lines };
        let expected = "3 pairs read: 1 loaded, 1 unchanged, 1 refused\n\
            directory a refused: no\ndefault 2 loaded";
        assert_eq!(text(&report), expected);
    }
}
