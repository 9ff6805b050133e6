//! The replay rule, against a model that forgets nothing, and its memory.

use route_table::Address;

use super::*;
use Command::{Subscribe, Unsubscribe};

const NOW: u64 = 1_700_000_000;
const TOLERANCE: u64 = 60;

fn guard() -> ReplayGuard {
    ReplayGuard::new(TOLERANCE, 1000)
}

fn id(guard: &ReplayGuard, name: usize) -> MarkId {
    let key = RouteKey::parse(format!("h{name}").as_bytes()).expect("a key");
    guard.mark_id(&key, MarkName::Address(&Address::parse(b":1").expect("an address")))
}

/// Admits and remembers, as a datagram that verifies does.
fn accept(guard: &mut ReplayGuard, command: Command, stamp: u64) -> Result<(), Reject> {
    let id = id(guard, 0);
    guard.admit(NOW, command, id, stamp)?;
    guard.remember(command, id, stamp);
    Ok(())
}

#[test]
fn stamps_are_fresh_within_the_tolerance_in_both_directions() {
    let guard = guard();
    let admit = |stamp| guard.admit(NOW, Subscribe, id(&guard, 0), stamp);
    assert_eq!(admit(NOW - TOLERANCE), Ok(()));
    assert_eq!(admit(NOW - TOLERANCE - 1), Err(Reject::Stale));
    assert_eq!(admit(NOW + TOLERANCE), Ok(()));
    assert_eq!(admit(NOW + TOLERANCE + 1), Err(Reject::Future));
    assert_eq!(admit(0), Err(Reject::Stale));
    assert_eq!(admit(u64::MAX), Err(Reject::Future));
}

#[test]
fn a_stamp_counts_once_whatever_the_command() {
    for (first, second) in [
        (Subscribe, Subscribe),
        (Subscribe, Unsubscribe),
        (Unsubscribe, Subscribe),
        (Unsubscribe, Unsubscribe),
    ] {
        let mut guard = guard();
        assert_eq!(accept(&mut guard, first, NOW), Ok(()));
        assert_eq!(accept(&mut guard, second, NOW), Err(Reject::Replayed), "{first:?} {second:?}");
    }
}

#[test]
fn a_restart_within_the_second_of_its_unsubscribe_is_back_at_once() {
    let mut guard = guard();
    assert_eq!(accept(&mut guard, Subscribe, NOW - 10), Ok(()));
    assert_eq!(accept(&mut guard, Unsubscribe, NOW + 1), Ok(()));
    assert_eq!(accept(&mut guard, Subscribe, NOW), Ok(()), "same second as the unsubscribe");
    assert_eq!(accept(&mut guard, Subscribe, NOW), Err(Reject::Replayed));
    assert_eq!(accept(&mut guard, Subscribe, NOW + 1), Err(Reject::Replayed), "the unsubscribe");
    assert_eq!(accept(&mut guard, Subscribe, NOW + 2), Ok(()));
}

#[test]
fn an_older_subscribe_does_not_undo_an_unsubscribe() {
    let mut guard = guard();
    assert_eq!(accept(&mut guard, Unsubscribe, NOW + 1), Ok(()));
    assert_eq!(accept(&mut guard, Subscribe, NOW - 1), Err(Reject::Replayed), "delayed");
    assert_eq!(accept(&mut guard, Subscribe, NOW), Ok(()));
}

#[test]
fn two_unsubscribes_in_a_row_are_both_remembered() {
    let mut guard = guard();
    assert_eq!(accept(&mut guard, Unsubscribe, NOW), Ok(()));
    assert_eq!(accept(&mut guard, Unsubscribe, NOW + 1), Ok(()));
    assert_eq!(accept(&mut guard, Subscribe, NOW), Err(Reject::Replayed));
    assert_eq!(accept(&mut guard, Subscribe, NOW + 1), Err(Reject::Replayed));
}

/// Goal: the three numbers of a mark decide as the full history would. Method: every sequence of
/// six datagrams with stamps out of four is put to both.
#[test]
fn a_mark_decides_as_the_whole_history_would() {
    let choices: Vec<(Command, u64)> = [Subscribe, Unsubscribe]
        .into_iter()
        .flat_map(|command| [0, 1, 2, 3].map(|step| (command, NOW + step)))
        .collect();
    for mut number in 0..choices.len().pow(6) {
        let mut mark = Mark::default();
        let mut history: Vec<(Command, u64)> = Vec::new();
        for _ in 0..6 {
            let (command, stamp) = choices[number % choices.len()];
            number /= choices.len();
            let last = |of| history.iter().filter(|past| past.0 == of).map(|past| past.1).max();
            let used = history.iter().any(|past| past.1 == stamp);
            let rises = last(command).is_none_or(|last| stamp > last);
            let allowed = match command {
                Subscribe => last(Unsubscribe).is_none_or(|last| stamp + 1 >= last),
                Unsubscribe => last(Subscribe).is_none_or(|last| stamp > last),
            };
            let expected = !used && rises && allowed;
            assert_eq!(mark.admits(command, stamp), expected, "{history:?} {command:?} {stamp}");
            if expected {
                mark.note(command, stamp);
                history.push((command, stamp));
            }
        }
    }
}

#[test]
fn a_clock_that_jumps_back_makes_nothing_forgotten_good_again() {
    let mut guard = guard();
    let (a, b) = (id(&guard, 0), id(&guard, 1));
    guard.remember(Subscribe, a, NOW);
    guard.sweep(NOW + 1000);
    assert_eq!((guard.marks(), guard.floor()), (0, NOW));
    assert_eq!(guard.admit(NOW, Subscribe, a, NOW), Err(Reject::Replayed), "forgotten, not good");
    assert_eq!(guard.admit(NOW, Subscribe, b, NOW - 1), Err(Reject::Replayed), "below the floor");
    assert_eq!(guard.admit(NOW, Subscribe, b, NOW + 1), Ok(()));
}

#[test]
fn a_clock_that_jumps_ahead_and_returns_costs_honest_nodes_nothing() {
    let mut guard = guard();
    let id = id(&guard, 0);
    guard.remember(Subscribe, id, NOW);
    guard.sweep(NOW + 1_000_000);
    assert_eq!(guard.admit(NOW + 10, Subscribe, id, NOW + 10), Ok(()));
}

#[test]
fn marks_are_bounded_and_the_floor_takes_the_place_of_the_forgotten() {
    let mut guard = guard();
    for name in 0..10_000 {
        let id = id(&guard, name);
        guard.remember(Subscribe, id, NOW + name as u64 / 100);
        assert!(guard.marks() <= 1000);
    }
    assert!(guard.floor() >= NOW + 80, "floor {}", guard.floor() - NOW);
    for name in 0..10_000 {
        let stamp = NOW + name as u64 / 100;
        let now = stamp;
        let replayed = guard.admit(now, Subscribe, id(&guard, name), stamp);
        assert_eq!(replayed, Err(Reject::Replayed), "{name}");
    }
    assert_eq!(guard.highest(), NOW + 99);
}

#[test]
fn floor_of_a_predecessor_holds_for_nodes_without_a_mark() {
    let mut guard = guard();
    guard.raise_floor(NOW);
    guard.raise_floor(NOW - 5);
    assert_eq!(accept(&mut guard, Subscribe, NOW), Err(Reject::Replayed));
    assert_eq!(accept(&mut guard, Subscribe, NOW + 1), Ok(()));
}
