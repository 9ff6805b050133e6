//! What is done to the router while it serves, each event checked for having taken effect.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::{
    harness::client::try_get,
    scale::Scale,
    site::{DONE_WITHIN, Site},
    tally::Tally,
};

/// Longest that a failed upgrade may take to be noticed by the one who asked.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks.
const POLL: Duration = Duration::from_millis(20);
/// How often the node of all requests announces itself.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);

/// Something an operator or a vassal does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    Swap,
    Reload,
    Upgrade,
    Aborts,
    BadConfig,
    Killed,
    Change,
}

impl Event {
    const fn kind(self) -> &'static str {
        match self {
            Self::Swap => "certificate swap",
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::Aborts => "aborting program",
            Self::BadConfig => "bad config",
            Self::Killed => "killed half way",
            Self::Change => "datagram",
        }
    }
}

/// Hosts that come and go, one per pair of datagrams.
pub fn changing_hosts(scale: Scale) -> Vec<String> {
    (0..scale.changes.div_ceil(2)).map(|number| format!("changing-{number}.test")).collect()
}

/// Does everything, evenly mixed, with a pause after each.
pub fn run(site: &Site, tally: &Tally, scale: Scale) {
    let mut stage = Stage { site, tally, swaps: 0, revision: 0, changes: 0 };
    for event in mixed(scale) {
        tally.event(event.kind());
        let started = Instant::now();
        match stage.act(event) {
            Ok(()) => tally.good(event.kind()),
            Err(why) => tally.failed(event.kind(), why),
        }
        tally.event(format!("{} took {} ms", event.kind(), started.elapsed().as_millis()));
        std::thread::sleep(scale.pause);
    }
}

/// All events, those of each kind as far apart as they can be.
fn mixed(scale: Scale) -> Vec<Event> {
    let kinds = [
        (Event::Swap, scale.swaps),
        (Event::Reload, scale.reloads),
        (Event::Change, scale.changes),
        (Event::Aborts, scale.failures),
        (Event::BadConfig, scale.failures),
        (Event::Killed, scale.failures),
        (Event::Upgrade, scale.upgrades),
    ];
    let mut placed = Vec::new();
    for (event, count) in kinds {
        // The middle of the n-th of `count` equal parts, in thousandths of the run.
        placed.extend((0..count).map(|n| ((2 * n + 1) * 500 / count, event)));
    }
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, event)| event).collect()
}

struct Stage<'a> {
    site: &'a Site,
    tally: &'a Tally,
    swaps: u32,
    revision: u32,
    changes: u32,
}

impl Stage<'_> {
    fn act(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Swap => self.swap(),
            Event::Reload => self.reload(),
            Event::Change => self.change(),
            Event::Upgrade => self.upgrade(),
            Event::Aborts => {
                self.site.spoil_program();
                let failed = self.fail_to_upgrade(|_| Ok(()));
                self.site.mend_program();
                failed
            }
            Event::BadConfig => {
                self.site.spoil_config();
                let failed = self.fail_to_upgrade(|_| Ok(()));
                self.site.configure(self.revision);
                failed
            }
            Event::Killed => self.fail_to_upgrade(|pid| self.site.kill_child_of(pid)),
        }
    }

    fn swap(&mut self) -> Result<(), String> {
        self.swaps += 1;
        let before = crate::served::leaf(self.site.https())?;
        self.site.swap_certificate(self.swaps);
        within(DONE_WITHIN, || {
            crate::served::leaf(self.site.https()).is_ok_and(|now| now != before)
        })
        .ok_or_else(|| "the old certificate is still served".to_owned())
    }

    fn reload(&mut self) -> Result<(), String> {
        self.revision += 1;
        self.site.configure(self.revision);
        self.site.signal(self.pid()?, Signal::SIGHUP);
        let listens = self.revision % 2 == 1;
        within(DONE_WITHIN, || self.site.extra_listens() == listens)
            .ok_or_else(|| format!("revision {} is not in force", self.revision))
    }

    fn upgrade(&mut self) -> Result<(), String> {
        self.wait_until_drained()?;
        let old = self.pid()?;
        self.site.signal(old, Signal::SIGUSR2);
        within(DONE_WITHIN, || self.site.pid().is_some_and(|now| now != old))
            .ok_or_else(|| format!("{old} still serves"))
    }

    /// An upgrade that cannot succeed, with something that is done once it is under way.
    fn fail_to_upgrade(
        &self,
        meanwhile: impl FnOnce(u32) -> Result<(), String>,
    ) -> Result<(), String> {
        self.wait_until_drained()?;
        let (old, failed) = (self.pid()?, self.site.failed_upgrades());
        self.site.signal(old, Signal::SIGUSR2);
        meanwhile(old)?;
        within(GIVEN_UP_WITHIN, || self.site.failed_upgrades() > failed)
            .ok_or_else(|| "nobody counted the failure".to_owned())?;
        match self.pid()? {
            now if now == old => Ok(()),
            now => Err(format!("{now} serves instead of {old}")),
        }
    }

    /// Only one process at a time may finish requests of before an upgrade.
    fn wait_until_drained(&self) -> Result<(), String> {
        within(DONE_WITHIN, || !self.site.is_draining())
            .ok_or_else(|| "the process before still has requests".to_owned())
    }

    /// One datagram, which must have its effect though it is sent once.
    fn change(&mut self) -> Result<(), String> {
        let host = format!("changing-{}.test", self.changes / 2);
        let (told, wanted) = if self.changes.is_multiple_of(2) {
            self.site.subscribe(&host);
            ("subscribed", 200)
        } else {
            self.site.unsubscribe(&host);
            ("withdrawn", 404)
        };
        self.changes += 1;
        let asked = || try_get(self.site.http(), &host, "/changing");
        within(DONE_WITHIN, || asked().is_ok_and(|answer| answer.status == wanted))
            .ok_or_else(|| format!("{host} was {told} and got no {wanted}"))
    }

    fn pid(&self) -> Result<u32, String> {
        let mut found = None;
        within(DONE_WITHIN, || {
            found = self.site.pid();
            found.is_some()
        });
        self.tally.event(format!("served by {found:?}"));
        found.ok_or_else(|| "the admin socket does not answer".to_owned())
    }
}

/// Whether `probe` became true in time.
fn within(limit: Duration, mut probe: impl FnMut() -> bool) -> Option<()> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if probe() {
            return Some(());
        }
        std::thread::sleep(POLL);
    }
    None
}
