//! `cert show`: everything about the pairs of one name.

use std::{fmt, time::Duration};

use router_core::access_log::utc_text;
use router_core::ctl::CtlRefusal;
use serde::Serialize;

use super::super::Desk;
use super::super::columns::printable;
use super::certs::days_left;

use crate::tls::cert_load::{LeafFacts, PairFacts, Reloadable};

/// How long the loader may read files before somebody who only asks is told to come again.
const SHOW_WAIT: Duration = Duration::from_secs(5);

/// The answer to `cert`.
#[derive(Serialize)]
pub struct CertPairs {
    pairs: Vec<PairFacts>,
    #[serde(skip)]
    now_unix: i64,
}

/// The pairs of a name, served or refused.
///
/// # Errors
/// There is none, or the loader is busy.
pub fn cert(desk: &Desk, what: &Reloadable) -> Result<CertPairs, CtlRefusal> {
    let pairs = desk.certs.show(what.clone(), SHOW_WAIT);
    let pairs = pairs.map_err(|why| CtlRefusal::Failed(why.to_string()))?;
    if pairs.is_empty() {
        return Err(CtlRefusal::NotFound(format!(
            "nobody gave a pair for {what}; explain tells which one a client gets"
        )));
    }
    let now_unix = i64::try_from(router_core::wall_clock::unix_now()).unwrap_or(i64::MAX);
    Ok(CertPairs { pairs, now_unix })
}

impl fmt::Display for CertPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pairs.iter().try_for_each(|pair| write_pair(f, pair, self.now_unix))
    }
}

fn write_pair(f: &mut fmt::Formatter<'_>, pair: &PairFacts, now_unix: i64) -> fmt::Result {
    writeln!(f, "{}", pair.name)?;
    let mut files = pair.files.iter();
    files.try_for_each(|file| line(f, "file", file))?;
    match &pair.certificate {
        None => line(f, "served", "no")?,
        Some(leaf) => write_leaf(f, leaf, now_unix)?,
    }
    if let Some(since) = pair.served_since_unix {
        line(f, "served", &format!("since {}", utc_text(since)))?;
    }
    pair.last_error.as_ref().map_or(Ok(()), |why| line(f, "last error", why))
}

fn write_leaf(f: &mut fmt::Formatter<'_>, leaf: &LeafFacts, now_unix: i64) -> fmt::Result {
    let at = |unix: i64| utc_text(u64::try_from(unix).unwrap_or_default());
    let left = match days_left(leaf.not_after_unix, now_unix) {
        None => "expired".to_owned(),
        Some(days) => format!("{days} days left"),
    };
    let (from, to) = (at(leaf.not_before_unix), at(leaf.not_after_unix));
    line(f, "subject", &leaf.subject)?;
    line(f, "names", &leaf.sans.join(" "))?;
    line(f, "issuer", &leaf.issuer)?;
    line(f, "serial", &leaf.serial)?;
    line(f, "valid", &format!("{from} to {to}, {left}"))?;
    line(f, "key", &leaf.key)?;
    line(f, "chain", &leaf.chain.to_string())?;
    line(f, "sha256", &leaf.fingerprint)?;
    if let Some(auth) = leaf.client_auth {
        line(f, "clients", &format!("certificate {auth}"))?;
    }
    leaf.flaw.as_ref().map_or(Ok(()), |flaw| line(f, "flaw", flaw))
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {what:<11}{}", printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_tells_what_is_served_and_why_its_files_are_not() {
        let leaf = LeafFacts {
            subject: "CN=a.test".to_owned(),
            sans: vec!["a.test".to_owned(), "*.a.test".to_owned()],
            not_after_unix: 86_400 * 3,
            ..LeafFacts::default()
        };
        let pair = PairFacts {
            name: "directory a.test".to_owned(),
            last_error: Some("broken\u{1b}".to_owned()),
            certificate: Some(leaf),
            ..PairFacts::default()
        };
        let refused = PairFacts { certificate: None, ..pair.clone() };
        let told = CertPairs { pairs: vec![pair, refused], now_unix: 86_400 }.to_string();
        for part in [
            "directory a.test\n  subject    CN=a.test\n  names      a.test *.a.test\n",
            "to 1970-01-04T00:00:00Z, 2 days left\n",
            "directory a.test\n  served     no\n  last error broken\u{fffd}\n",
        ] {
            assert!(told.contains(part), "{part}\nin\n{told}");
        }
    }
}
