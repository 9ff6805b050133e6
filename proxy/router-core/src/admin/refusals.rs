//! How often the admin socket refused somebody, by reason.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::metrics::{Collector, Page, catalog};

/// Why somebody is not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Over TCP the Host is no name of this machine, as when a web page rebinds its own.
    #[error("over TCP the Host must be an IP address, localhost or this machine's own name")]
    Host,
    /// A token is required, and none was shown.
    #[error("a token is wanted: Authorization: Bearer TOKEN")]
    NoToken,
    /// The token is nobody's. Who asks is told the same as without one.
    #[error("a token is wanted: Authorization: Bearer TOKEN")]
    WrongToken,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::Host, Self::NoToken, Self::WrongToken];

    const fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
        }
    }
}

/// Counts of all of them.
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; Refusal::ALL.len()]);

impl Refusals {
    /// One more.
    pub fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].fetch_add(1, Relaxed);
    }
}

impl Collector for Refusals {
    fn collect(&self, page: &mut Page) {
        for (refusal, count) in Refusal::ALL.into_iter().zip(&self.0) {
            page.sample(&catalog::ADMIN_REFUSED, &[refusal.label()], count.load(Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        let refusals = Refusals::default();
        for (position, refusal) in Refusal::ALL.into_iter().enumerate() {
            (0..=position).for_each(|_| refusals.count(refusal));
        }
        let mut page = Page::default();
        refusals.collect(&mut page);
        let text = page.into_text();
        for (label, count) in [("host", 1), ("no_token", 2), ("wrong_token", 3)] {
            let sample = format!("suzerain_admin_refused_total{{reason=\"{label}\"}} {count}\n");
            assert!(text.contains(&sample), "{text}");
        }
    }
}
