//! Samples of the subscription thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::catalog::{self, Family};
use super::{Collector, Page};
use crate::subscriber::SubscriptionCounters;

impl Collector for SubscriptionCounters {
    fn collect(&self, page: &mut Page) {
        let mut show = |family: &'static Family, labels: &[&str], counter: &AtomicU64| {
            page.sample(family, labels, counter.load(Relaxed));
        };
        show(&catalog::SUBSCRIPTION_DATAGRAMS, &[], &self.datagrams);
        show(&catalog::SUBSCRIPTION_BATCHES, &[], &self.batches);
        show(&catalog::SUBSCRIPTION_VERDICTS, &["added"], &self.added);
        show(&catalog::SUBSCRIPTION_VERDICTS, &["renewed"], &self.renewed);
        show(&catalog::SUBSCRIPTION_VERDICTS, &["changed"], &self.changed);
        show(&catalog::SUBSCRIPTION_VERDICTS, &["removed"], &self.removed);
        show(&catalog::SUBSCRIPTION_LAPSED, &[], &self.lapsed);
        show(&catalog::SUBSCRIPTION_REVOKED, &[], &self.revoked);
        show(&catalog::SUBSCRIPTION_PUBLISHES, &[], &self.publishes);
        show(&catalog::SUBSCRIPTION_KERNEL_DROPS, &[], &self.kernel_drops);
        show(&catalog::SUBSCRIPTION_RECEIVE_FAILURES, &[], &self.receive_errors);
        show(&catalog::SUBSCRIPTION_ACKS, &["sent"], &self.notified);
        show(&catalog::SUBSCRIPTION_ACKS, &["failed"], &self.notify_errors);
        show(&catalog::SUBSCRIPTION_FORWARDS, &["sent"], &self.forwarded);
        show(&catalog::SUBSCRIPTION_FORWARDS, &["dropped"], &self.forward_drops);
        show(&catalog::CERTIFICATE_REQUESTS_LOST, &[], &self.cert_requests_lost);
        show(&catalog::STATE_FILE_BYTES, &[], &self.state_file_bytes);
        show(&catalog::STATE_FILE_FAILURES, &[], &self.state_file_failures);
        for (reason, count) in self.rejects() {
            page.sample(&catalog::SUBSCRIPTION_REJECTS, &[reason], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reject_reason_has_a_sample_from_the_start() {
        let mut page = Page::default();
        SubscriptionCounters::default().collect(&mut page);
        let text = page.into_text();
        for reject in subscribe::Reject::ALL {
            let label = reject.label();
            let sample = format!("suzerain_subscription_rejects_total{{reason=\"{label}\"}} 0\n");
            assert!(text.contains(&sample), "{sample}");
        }
    }
}
