//! Which requests are recorded.
//!
//! Whoever sent a request decided for its whole trace, and that is kept to, so that traces are whole:
//! what trusted proxies decided always, what other clients decided as long as they do not have too much
//! recorded. Of all other requests a fixed part is.

use std::{cell::Cell, str::FromStr};

use http1_wire::{RequestHead, TraceParent};
use router_core::deadline;

use super::{WorkerTraces, context::TraceSlot, limits};
use crate::{
    context::{ConnFacts, Trust},
    http::request_id::random_bits,
};

/// The part of requests that is recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ratio {
    /// Out of 2^56.
    recorded: u64,
}

impl Ratio {
    /// Whether this trace is one of them. By its name's last 56 bits, the random ones, as the consistent
    /// samplers of OpenTelemetry do: other processes with the same ratio decide the same.
    fn takes(self, random: u128) -> bool {
        (random as u64 & (CHANCES - 1)) >= CHANCES - self.recorded
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Self { recorded: CHANCES }
    }
}

impl FromStr for Ratio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        let part: f64 = text.parse().map_err(|_| "not a number")?;
        match plain && (0.0..=1.0).contains(&part) {
            true => Ok(Self { recorded: (part * CHANCES as f64) as u64 }),
            false => Err("not between 0 and 1"),
        }
    }
}

/// Requests a second that clients may still have recorded on this worker.
#[derive(Debug)]
pub(super) struct Budget {
    each_second: u32,
    second: Cell<u64>,
    left: Cell<u32>,
}

impl Budget {
    pub(super) fn new(each_second: u32) -> Self {
        Self { each_second, second: Cell::new(0), left: Cell::new(each_second) }
    }

    fn take(&self, now_ms: u64) -> bool {
        if self.second.replace(now_ms / 1000) != now_ms / 1000 {
            self.left.set(self.each_second);
        }
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl WorkerTraces {
    /// Gives the request with this head its place in a trace, unless it has one. Without randomness it
    /// gets none.
    pub fn note_request(&self, slot: &TraceSlot, conn: &ConnFacts, head: &RequestHead<'_, '_>) {
        if slot.is_begun() {
            return;
        }
        let Some(random) = random_bits().zip(random_bits()) else { return };
        let incoming = TraceParent::of(head.fields);
        let sampled = self.decide(incoming, conn.trust, random.0, deadline::now_ms());
        slot.begin(incoming, head.fields, random, sampled);
    }

    fn decide(
        &self,
        incoming: Option<TraceParent>,
        trust: Trust,
        random: u128,
        now_ms: u64,
    ) -> Sampled {
        let yes = match incoming {
            Some(parent) if !parent.sampled => false,
            Some(_) if trust == Trust::Proxy || self.budget.take(now_ms) => true,
            // By chance of our own: a client chose the name of its trace.
            _ => self.ratio.takes(random),
        };
        if yes { Sampled::Recorded } else { Sampled::Unrecorded }
    }
}

/// Whether a request is recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sampled {
    /// Its spans go to the collector.
    Recorded,
    /// Its trace is only passed on.
    Unrecorded,
}

const CHANCES: u64 = 1 << 56;

const _: () = assert!(limits::CLIENT_RATE_DEFAULT <= limits::CLIENT_RATE_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::{ClientRate, Origin, TraceSettings, Traces, post::Endpoint};
    use router_core::metrics::Metrics;

    fn worker(ratio: &str, client_rate: u32) -> WorkerTraces {
        let settings = TraceSettings {
            endpoint: Endpoint::parse("http://127.0.0.1:1").ok(),
            ratio: ratio.parse().unwrap(),
            client_rate: ClientRate(client_rate),
        };
        let origin = Origin { service: "s", instance: "i", host: "h" };
        let (traces, _exporter) = Traces::start(&settings, &origin, 1).unwrap().unwrap();
        traces.worker(Metrics::new(1).shard(0))
    }

    fn incoming(flags: &str) -> Option<TraceParent> {
        let ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        TraceParent::parse(format!("00-{ids}-{flags}").as_bytes())
    }

    #[test]
    fn a_ratio_is_a_plain_number_from_zero_to_one() {
        let takes = |text: &str, chance: u64| text.parse::<Ratio>().unwrap().takes(chance.into());
        let most = CHANCES - 1;
        assert!(!takes("0", most) && takes("1", 0) && takes("1.0", most));
        assert!(takes("0.25", most / 4 * 3 + 9) && !takes("0.25", most / 4 * 3 - 9));
        // The bits before the last 56 say nothing.
        assert!(!takes("0.5", u64::MAX << 56) && takes("0.5", u64::MAX));
        for text in ["", "x", "-0.1", "1.1", "NaN", "inf", "1e-3", "+1", "1/2"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_sender_decides_and_clients_within_their_rate() {
        use Sampled::{Recorded, Unrecorded};
        use Trust::{Client, Proxy};
        let worker = worker("0", 2);
        let at = |now_ms, trust, flags| worker.decide(incoming(flags), trust, u128::MAX, now_ms);
        assert_eq!(at(1_000, Client, "01"), Recorded);
        assert_eq!(at(1_100, Client, "00"), Unrecorded);
        assert_eq!(at(1_200, Client, "01"), Recorded);
        assert_eq!(at(1_300, Client, "01"), Unrecorded, "the third of a second");
        assert_eq!(at(1_400, Proxy, "01"), Recorded, "a trusted proxy is not bounded");
        assert_eq!(at(2_000, Client, "01"), Recorded, "another second");
        assert_eq!(worker.decide(None, Proxy, u128::MAX, 3_000), Unrecorded);
    }

    #[test]
    fn an_unrecorded_parent_stays_unrecorded_and_what_is_beyond_the_rate_is_left_to_chance() {
        let worker = worker("1", 0);
        let decide = |incoming, trust| worker.decide(incoming, trust, 0, 1_000);
        assert_eq!(decide(incoming("00"), Trust::Proxy), Sampled::Unrecorded);
        assert_eq!(decide(incoming("01"), Trust::Client), Sampled::Recorded);
        assert_eq!(decide(None, Trust::Client), Sampled::Recorded);
    }
}
