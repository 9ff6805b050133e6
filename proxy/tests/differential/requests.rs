//! The requests of the corpus at every upstream, compared.

use std::path::PathBuf;

use crate::answers::Answer;
use crate::corpus::{self, Entry};
use crate::lane::{self, Observed, Outcome};
use crate::peers::Kind;
use crate::recorder::Seen;
use crate::verdict::Verdict;

/// Longest request line compared; a log may cut a longer one.
const LINE_COMPARED: usize = 400;

/// What HAProxy logs of a request that it refuses to read.
const UNREADABLE: &str = "<BADREQ>";

/// One entry and what it came to.
pub struct Row {
    pub entry: Entry,
    /// What each of [`Kind::ALL`] saw.
    pub cells: Vec<String>,
}

/// The whole outcome.
pub struct Requests {
    pub rows: Vec<Row>,
    /// Versions of the programs, as the document names them.
    pub versions: String,
    /// Every disagreement.
    pub wrong: Vec<String>,
}

impl Requests {
    /// Runs everything, all upstreams at once; `None` if one is not installed.
    pub fn run() -> Option<Self> {
        let programs: Vec<Option<PathBuf>> = Kind::ALL.into_iter().map(Kind::find).collect();
        let programs: Vec<PathBuf> = programs.into_iter().collect::<Option<_>>()?;
        let peers = Kind::ALL.into_iter().zip(&programs);
        let versions: Vec<_> = peers.skip(1).map(|(kind, path)| kind.version(path)).collect();
        let entries = corpus::requests();
        let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
            let peers = Kind::ALL.into_iter().zip(&programs);
            let lanes = peers.map(|(kind, path)| {
                let entries = &entries;
                scope.spawn(move || lane::run(kind, path, entries))
            });
            let lanes: Vec<_> = lanes.collect();
            lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).collect()
        });
        Some(compare(entries, &outcomes, versions.join(", ")))
    }
}

fn compare(entries: Vec<Entry>, outcomes: &[Outcome], versions: String) -> Requests {
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        let recorded = &outcomes[0].observed[at];
        let mut cells = Vec::new();
        for outcome in outcomes {
            let verdict = entry.verdict_for(outcome.kind);
            let observed = &outcome.observed[at];
            let expected = (verdict == entry.verdict).then_some(recorded.seen.as_slice());
            match check(verdict, observed, expected, outcome.kind) {
                Ok(cell) => cells.push(cell),
                Err(why) => {
                    wrong.push(format!("{}, {}: {why}", entry.name, outcome.kind.name()));
                    cells.push("DISAGREES".to_owned());
                }
            }
        }
        rows.push(Row { entry, cells });
    }
    for outcome in outcomes {
        let name = outcome.kind.name();
        wrong.extend(outcome.violations.iter().map(|what| format!("behind {name}: {what}")));
        if let (Some(lines), Some(forwarded)) = (&outcome.lines, &outcomes[0].lines) {
            wrong.extend(differences(forwarded, lines).map(|line| format!("{name}'s log: {line}")));
        }
    }
    let torsos = rows.iter().filter(|row| row.entry.verdict.leaves_a_torso()).count();
    let complete: usize = outcomes[0].observed.iter().map(|each| each.seen.len() + 1).sum();
    let heads = outcomes[0].lines.as_ref().map_or(0, Vec::len);
    if heads != complete + torsos {
        wrong.push(format!("{heads} heads reached the recorder, not {complete} + {torsos} torsos"));
    }
    Requests { rows, versions, wrong }
}

/// Compares one upstream with the verdict and with what the recorder saw; returns its cell.
fn check(
    verdict: Verdict,
    observed: &Observed,
    recorded: Option<&[Seen]>,
    kind: Kind,
) -> Result<String, String> {
    if let Some(trouble) = &observed.trouble {
        return Err(trouble.clone());
    }
    let brief = || {
        let answers = observed.answers.iter();
        let answers = answers.map(|each| (each.status, each.is_origins)).collect::<Vec<_>>();
        format!("expected {verdict}; got {answers:?}; seen {:?}", briefly(&observed.seen))
    };
    let probes = usize::from(verdict.is_open());
    let own = verdict.own_status();
    let wanted = verdict.forwarded + usize::from(own.is_some()) + probes;
    if observed.answers.len() != wanted {
        return Err(brief());
    }
    let (forwarded, rest) = observed.answers.split_at(verdict.forwarded);
    let (own_answers, probe_answers) = rest.split_at(rest.len() - probes);
    let is_good = |answer: &Answer| answer.is_origins && answer.status == 200;
    let own_good = own_answers.iter().all(|each| !each.is_origins && Some(each.status) == own);
    if !own_good || !probe_answers.iter().all(is_good) {
        return Err(brief());
    }
    let is_refused =
        |answer: &Answer| !answer.is_origins && matches!(answer.status, 400..=499 | 501);
    if !forwarded.iter().all(|each| is_good(each) || (kind != Kind::Recorder && is_refused(each))) {
        return Err(brief());
    }
    let probe = observed.seen.last().filter(|_| probes > 0);
    if probe.is_some_and(|seen| (seen.method.as_str(), seen.target.as_str()) != ("GET", "/probe")) {
        return Err(brief());
    }
    let kept = forwarded.iter().map(is_good).chain(std::iter::repeat_n(true, probes));
    if let Some(recorded) = recorded {
        let expected = recorded.iter().zip(kept.clone()).filter(|(_, kept)| *kept);
        let expected: Vec<_> = expected.map(|(seen, _)| comparable(seen, kind)).collect();
        let seen: Vec<_> = observed.seen.iter().map(|seen| comparable(seen, kind)).collect();
        if recorded.len() != verdict.forwarded + probes || seen != expected {
            return Err(format!("{}; recorded {:?}", brief(), briefly(recorded)));
        }
    } else if observed.seen.len() != kept.filter(|kept| *kept).count() {
        return Err(brief());
    }
    Ok(cell(verdict, forwarded, &observed.seen))
}

/// What must agree. REQUEST_URI of uwsgi is the target as the client wrote it, with the host of an
/// absolute form; it is not compared.
fn comparable(seen: &Seen, kind: Kind) -> (&str, &str, &[u8]) {
    let target = if kind == Kind::Uwsgi { "" } else { &seen.target };
    (&seen.method, target, &seen.body)
}

fn briefly(seen: &[Seen]) -> Vec<String> {
    let line = |seen: &Seen| {
        let target: String = seen.target.chars().take(60).collect();
        format!("{} {target} +{} B", seen.method, seen.body.len())
    };
    seen.iter().map(line).collect()
}

/// The cell of the document: requests seen, and their bodies' lengths.
fn cell(verdict: Verdict, forwarded: &[Answer], seen: &[Seen]) -> String {
    let refused = forwarded.iter().find(|answer| !answer.is_origins);
    if let Some(answer) = refused {
        return format!("answers {}", answer.status);
    }
    let bodies: Vec<String> =
        seen.iter().take(verdict.forwarded).map(|seen| seen.body.len().to_string()).collect();
    match bodies.len() {
        0 => "0".to_owned(),
        count if bodies.iter().all(|bytes| bytes == "0") => count.to_string(),
        count => format!("{count} ({} B)", bodies.join(", ")),
    }
}

/// Lines that are in one list and not in the other, which is sorted. A line that a program names
/// unreadable stands for any one that is missing.
fn differences(forwarded: &[String], logged: &[String]) -> impl Iterator<Item = String> + use<> {
    let cut = |line: &String| line.chars().take(LINE_COMPARED).collect::<String>();
    let mut missing: Vec<String> = Vec::new();
    let mut extra: Vec<String> = logged.iter().map(cut).collect();
    for line in forwarded.iter().map(cut) {
        match extra.binary_search(&line) {
            Ok(at) => drop(extra.remove(at)),
            Err(_) => missing.push(line),
        }
    }
    while let Some(at) = extra.iter().position(|line| line == UNREADABLE)
        && missing.pop().is_some()
    {
        extra.remove(at);
    }
    let missing = missing.into_iter().map(|line| format!("{line:?} is missing"));
    missing.chain(extra.into_iter().map(|line| format!("{line:?} was not forwarded")))
}
