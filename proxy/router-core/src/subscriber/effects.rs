//! What a batch asks of the outside: certificates, acknowledgements, datagrams for other
//! routers and one log line per change.
//!
//! A renewal is no change and leaves no line; a storm of changes leaves some lines and a number.
//! Refused datagrams leave a counter, and per reason a line a minute at most.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use subscribe::{Effect, Peer, Reject};

use super::counters::{SubscriptionCounters, bump};
use super::limits::{CHANGE_LINES_BURST, CHANGE_LINES_PER_S, REJECT_LINE_EVERY_MS};
use super::line_budget::{Line, LineBudget};
use super::relay::Relay;
use super::{CertDesk, CertRequest};

/// Carries effects out.
pub(super) struct Effects {
    cert_desk: Box<dyn CertDesk>,
    /// Unbound; `None` if the system refuses one, then nothing is acknowledged.
    notifier: Option<UnixDatagram>,
    pub(super) relay: Relay,
    lines: LineBudget,
    reject_lines: RejectLines,
}

/// When each reason was last logged, and how often it occurred since.
#[derive(Debug, Default)]
struct RejectLines([Option<(u64, u64)>; Reject::ALL.len()]);

impl Effects {
    pub(super) fn new(cert_desk: Box<dyn CertDesk>, relay: Relay) -> Self {
        let notifier = UnixDatagram::unbound()
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .ok();
        let lines = LineBudget::new(CHANGE_LINES_BURST, CHANGE_LINES_PER_S);
        Self { cert_desk, notifier, relay, lines, reject_lines: RejectLines::default() }
    }

    /// What must be so before the table with this change is published.
    pub(super) fn prepare(&self, effect: &Effect) {
        if let Effect::LoadCert { name, ca: Some(_), .. } = effect {
            self.cert_desk.seal(name);
        }
    }

    pub(super) fn carry_out(
        &mut self,
        effect: Effect,
        now_ms: u64,
        counters: &SubscriptionCounters,
    ) {
        match effect {
            Effect::LoadCert { name, key, crt, ca } => {
                self.request(CertRequest::Load { name, key, crt, ca }, counters);
            }
            Effect::LookAtCert { name } => {
                self.request(CertRequest::LookAgain { name }, counters);
            }
            Effect::DropCert { name } => self.request(CertRequest::Drop { name }, counters),
            Effect::NodeAdded { key, node } => {
                if self.may_write(now_ms) {
                    let address = &*node.facts.announced;
                    tracing::info!(%key, address, weight = node.facts.weight, "node added");
                }
            }
            Effect::NodeMoved { key, node, from } => {
                if self.may_write(now_ms) {
                    let address = &*node.facts.announced;
                    tracing::info!(%key, from = &*from, address, "node moved");
                }
            }
            Effect::NodeRemoved { key, node, why } => {
                if self.may_write(now_ms) {
                    let address = &*node.facts.announced;
                    tracing::info!(%key, address, why = why.as_str(), "node removed");
                }
            }
            Effect::Forward { datagram } => self.relay.pass_on(datagram, counters),
            Effect::Notify { path, text } => self.notify(&path, &text, counters),
        }
    }

    /// Sends what other routers had no room for.
    pub(super) fn flush(&mut self, counters: &SubscriptionCounters) {
        self.relay.flush(counters);
    }

    /// Whether [`Effects::flush`] has something to do.
    pub(super) fn is_waiting(&self) -> bool {
        self.relay.is_waiting()
    }

    /// A refused datagram: perhaps a line, always without its contents.
    pub(super) fn rejected(&mut self, reject: Reject, peer: Option<Peer>, now_ms: u64) {
        if let Some(since) = self.reject_lines.take(reject, now_ms) {
            let reason = reject.label();
            match peer {
                Some(Peer::Ip(peer)) => {
                    tracing::warn!(reason, %peer, since, "subscription refused: {reject}");
                }
                _ => tracing::warn!(reason, since, "subscription refused: {reject}"),
            }
        }
    }

    fn request(&self, request: CertRequest, counters: &SubscriptionCounters) {
        if !self.cert_desk.request(request) {
            bump(&counters.cert_requests_lost);
        }
    }

    fn may_write(&mut self, now_ms: u64) -> bool {
        match self.lines.take(now_ms) {
            Line::Write => true,
            Line::WriteAfter(withheld) => {
                tracing::info!(withheld, "node changes not logged one by one");
                true
            }
            Line::Withhold => false,
        }
    }

    /// Sends the acknowledgement if nobody could mistake it for something else: some listeners on
    /// unix datagram sockets (the service manager's, syslog's) read a command per line.
    fn notify(&self, path: &[u8], text: &str, counters: &SubscriptionCounters) {
        let is_fit = path.starts_with(b"/") && !text.contains(char::is_control);
        let path = Path::new(OsStr::from_bytes(path));
        let sent = self.notifier.as_ref().filter(|_| is_fit);
        match sent.map(|socket| socket.send_to(text.as_bytes(), path)) {
            Some(Ok(_)) => bump(&counters.notified),
            _ => bump(&counters.notify_errors),
        }
    }
}

impl RejectLines {
    /// `Some(number since the last line)` if a line is due.
    fn take(&mut self, reject: Reject, now_ms: u64) -> Option<u64> {
        let last = &mut self.0[reject as usize];
        match last {
            Some((at_ms, since)) if now_ms < *at_ms + REJECT_LINE_EVERY_MS => {
                *since += 1;
                None
            }
            _ => {
                let since = last.map_or(1, |(_, since)| since + 1);
                *last = Some((now_ms, 0));
                Some(since)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_once_a_minute_with_what_happened_meanwhile() {
        let mut lines = RejectLines::default();
        assert_eq!(lines.take(Reject::Stale, 0), Some(1));
        assert_eq!(lines.take(Reject::Stale, 1), None);
        assert_eq!(lines.take(Reject::Replayed, 2), Some(1));
        assert_eq!(lines.take(Reject::Stale, REJECT_LINE_EVERY_MS - 1), None);
        assert_eq!(lines.take(Reject::Stale, REJECT_LINE_EVERY_MS), Some(3));
    }
}
