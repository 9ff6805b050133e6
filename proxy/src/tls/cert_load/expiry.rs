//! Warnings of certificates that are about to expire: one line at each stage, once per certificate.

use super::tracked::Tracked;
use super::{CertLoader, Slot};
use crate::tls::cert_store::{CertEntry, EXPIRY_DAYS};

/// How often the certificates are gone through, in seconds.
const SWEEP_EVERY_S: u64 = 60;
/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;

/// What was said about a certificate: its fingerprint and the stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    fingerprint: [u8; 32],
    stage: usize,
}

impl CertLoader {
    /// Warns of certificates that came to a stage nobody was told of.
    pub(super) fn warn_of_expiry(&mut self, now_unix: u64) {
        if now_unix < self.expiry_due_unix {
            return;
        }
        self.expiry_due_unix = now_unix + SWEEP_EVERY_S;
        for (slot, tracked) in &mut self.tracked {
            if let Some((not_after, is_over)) = tracked.next_stage(now_unix.cast_signed()) {
                self.voice.say_expiry(slot, not_after, is_over);
            }
        }
    }
}

/// Whether a certificate can still be renewed in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Near { days: i64 },
    Past,
}

impl Tracked {
    /// What is to be said now: the end of what is served.
    fn next_stage(&mut self, now_unix: i64) -> Option<(i64, End)> {
        let entry = self.serving.as_ref()?;
        if self.told.fingerprint != entry.fingerprint {
            self.told = Told { fingerprint: entry.fingerprint, stage: 0 };
        }
        let stage = stage(entry, now_unix);
        if stage <= self.told.stage {
            return None;
        }
        self.told.stage = stage;
        let left_s = entry.not_after - now_unix;
        let end = if left_s < 0 { End::Past } else { End::Near { days: left_s / DAY_S } };
        Some((entry.not_after, end))
    }
}

/// How many of the stages a certificate has come to. One longer than a third of its life is none: a
/// certificate of a week is not late on its first day.
fn stage(entry: &CertEntry, now_unix: i64) -> usize {
    let left_s = entry.not_after - now_unix;
    if left_s < 0 {
        return EXPIRY_DAYS.len() + 1;
    }
    let life_s = entry.not_after - entry.not_before;
    let is_at = |days: &i64| left_s <= days * DAY_S && days * DAY_S <= life_s / 3;
    // The last one that is reached counts, also when one before it does not apply.
    EXPIRY_DAYS.iter().rposition(is_at).map_or(0, |index| index + 1)
}

/// Names the slot in a line about its end.
pub(super) fn say(slot: &Slot, until: &str, end: End) {
    let name = slot.to_string();
    match end {
        End::Past => tracing::warn!(name, until, "certificate has expired"),
        End::Near { days } => tracing::warn!(name, until, days, "certificate expires soon"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{pem_of_years, rig};
    use super::*;

    /// A certificate of 1000 years, followed to its end.
    #[test]
    fn each_stage_is_told_once_and_a_new_certificate_begins_anew() {
        let mut rig = rig();
        let dir = rig.dir.path().to_path_buf();
        pem_of_years(&["e.example"], 2000, 3000).write(&dir, "e.example");
        rig.loader.load_initial().expect("loads");
        let tracked = rig.loader.tracked.values_mut().next().expect("one pair");
        let end = tracked.serving.as_ref().expect("served").not_after;
        let days = |count: i64| end - count * DAY_S;
        let mut told = |at: i64| tracked.next_stage(at).map(|(_, end)| end);
        assert_eq!(told(days(22)), None);
        assert_eq!(told(days(21)), Some(End::Near { days: 21 }));
        assert_eq!(told(days(20)), None);
        assert_eq!(told(days(7)), Some(End::Near { days: 7 }));
        assert_eq!(told(days(1)), Some(End::Near { days: 1 }));
        assert_eq!(told(days(0)), None);
        assert_eq!(told(end + 1), Some(End::Past));
        assert_eq!(told(end + DAY_S), None);
        // Another certificate, found late: the stages it is past are not told one by one.
        pem_of_years(&["e.example"], 2000, 3001).write(&dir, "e.example");
        rig.loader.tick();
        let tracked = rig.loader.tracked.values_mut().next().expect("one pair");
        let end = tracked.serving.as_ref().expect("served").not_after;
        assert_eq!(
            tracked.next_stage(end - DAY_S).map(|(_, end)| end),
            Some(End::Near { days: 1 })
        );
        assert_eq!(tracked.next_stage(end - DAY_S), None);
    }

    #[test]
    fn short_lives_are_warned_of_late() {
        let mut rig = rig();
        pem_of_years(&["s.example"], 2000, 3000).write(rig.dir.path(), "s.example");
        rig.loader.load_initial().expect("loads");
        let tracked = rig.loader.tracked.values().next().expect("one pair");
        let entry = tracked.serving.as_ref().expect("served");
        let of_life = |days: i64| CertEntry {
            certified: entry.certified.clone(),
            names: entry.names.clone(),
            client_ca: None,
            not_before: 0,
            not_after: days * DAY_S,
            ..**entry
        };
        for (life, left, expected) in
            [(90, 20, 1), (47, 15, 0), (47, 7, 2), (6, 5, 0), (6, 1, 3), (2, 1, 0), (2, -1, 4)]
        {
            let now = (life - left) * DAY_S;
            assert_eq!(stage(&of_life(life), now), expected, "{life} days, {left} left");
        }
    }
}
