//! An explanation for people.

use std::fmt;

use super::nodes::{NodeStanding, Standing};
use super::{CertSummary, Explanation};

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.url)?;
        match self.listeners.as_slice() {
            [] => writeln!(out, "  listener     none")?,
            some => writeln!(out, "  listener     {}", some.join(", "))?,
        }
        if let Some(cert) = &self.certificate {
            write_certificate(out, cert)?;
        }
        if let Some(host) = &self.host {
            writeln!(out, "  host         {host}")?;
        }
        for lookup in &self.lookups {
            let found = if lookup.found { "found" } else { "unknown" };
            let fallback = if lookup.fallback { " (fallback)" } else { "" };
            writeln!(out, "  key          {} {found}{fallback}", lookup.key)?;
        }
        if let (Some(algorithm), Some(hits)) = (&self.algorithm, self.hits) {
            writeln!(out, "  balance      {algorithm}, requests so far: {hits}")?;
        }
        for node in &self.nodes {
            write_node(out, node)?;
        }
        match self.status {
            Some(status) => writeln!(out, "  answer       {status} by this router")?,
            None => writeln!(out, "  answer       by a candidate node")?,
        }
        for problem in &self.problems {
            writeln!(out, "  problem      {problem}")?;
        }
        Ok(())
    }
}

fn write_certificate(out: &mut fmt::Formatter<'_>, cert: &CertSummary) -> fmt::Result {
    let names = cert.names.join(", ");
    writeln!(out, "  certificate  {names} (from {})", cert.source)?;
    writeln!(out, "               sha256 {}", cert.fingerprint)?;
    match &cert.client_auth {
        Some(auth) => writeln!(out, "               client certificate {auth}"),
        None => Ok(()),
    }
}

fn write_node(out: &mut fmt::Formatter<'_>, node: &NodeStanding) -> fmt::Result {
    write!(out, "  node         {} {} weight {}", node.node, node.proto, node.weight)?;
    if node.backup > 0 {
        write!(out, " backup {}", node.backup)?;
    }
    match node.standing {
        Standing::Candidate => write!(out, ": candidate")?,
        Standing::Backup => write!(out, ": waits as a backup")?,
        Standing::Foreign => write!(out, ": takes no requests")?,
        Standing::Asleep => write!(out, ": asleep")?,
        Standing::Drained => write!(out, ": drained")?,
        Standing::Cooling | Standing::Unhealthy => write!(out, ": skipped")?,
    }
    if node.unhealthy {
        write!(out, ", failed its health checks")?;
    }
    if node.cooling_ms > 0 {
        write!(out, ", cools for {} ms after {} failures", node.cooling_ms, node.failures)?;
    }
    write!(out, ", {} in flight", node.in_flight)?;
    match node.announced_s_ago {
        Some(seconds) => writeln!(out, ", announced {seconds} s ago"),
        None => writeln!(out, ", configured"),
    }
}
