//! Calls, attributes and names that have no place here.

use crate::tree::{Source, expect_none, files, is_test, read, sources};

/// A banned call, what to write instead, and the paths where it is allowed.
type Ban = (&'static str, &'static str, &'static [&'static str]);

/// Folders of programs whose product is what they print. Tests may print too.
const PRINTING: &[&str] = &["loadtests/", "benches/"];

const CALLS: &[Ban] = &[
    ("println!", "write to a given output, or log an event", PRINTING),
    ("print!", "write to a given output, or log an event", PRINTING),
    ("eprintln!", "log an event", PRINTING),
    ("eprint!", "log an event", PRINTING),
    ("dbg!", "log an event", &[]),
    ("todo!", "return an error variant, or leave it out", &[]),
    ("unimplemented!", "return an error variant, or leave it out", &[]),
    ("std::process::exit", "return an ExitCode from main", &[]),
    ("mem::forget", "give it an owner", &[]),
];

/// Files that may hold `unsafe`, each with its justification beside the block.
const UNSAFE: &[&str] = &[
    // One call of the C library, without which memory is not given back.
    "proxy/router-core/src/headroom/trim.rs",
    "sidecar/src/quota/sys.rs",
    // What io_uring costs without a proxy can only be measured by io_uring without a proxy.
    "loadtests/src/floor/ring.rs",
];

/// File and folder names that say nothing.
const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "manager", "handler", "misc", "mod"];

/// Crates without input, output, clock or `unsafe`.
const PURE: &[&str] =
    &["subscribe", "subscribe/uwsgi-wire", "subscribe/route-table", "proxy/http1-wire"];

/// Offsets of `word` in the code, not preceded by a letter, digit or underscore.
fn uses<'a>(source: &'a Source, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    source.code.match_indices(word).map(|(at, _)| at).filter(|at| {
        let before = source.code[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn place(source: &Source, offset: usize) -> String {
    format!("{}:{}", source.path, source.line_of(offset))
}

#[test]
fn banned_calls_do_not_occur() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (call, instead, allowed) in CALLS {
            let prints = *allowed == PRINTING && is_test(&source.path);
            if prints || allowed.iter().any(|folder| source.path.starts_with(folder)) {
                continue;
            }
            let here = uses(&source, call).map(|at| place(&source, at));
            wrong.extend(here.map(|place| format!("{place}: {call}; {instead}")));
        }
    }
    expect_none("banned calls", &wrong);
}

#[test]
fn unsafe_code_stays_in_its_files() {
    let mut wrong = Vec::new();
    for source in sources() {
        if UNSAFE.contains(&source.path.as_str()) {
            continue;
        }
        let blocks = uses(&source, "unsafe")
            .filter(|at| !source.code[at + "unsafe".len()..].starts_with("_code"));
        wrong.extend(blocks.map(|at| place(&source, at)));
    }
    expect_none("unsafe outside of its files", &wrong);
}

#[test]
fn pure_crates_forbid_unsafe_code() {
    let roots = PURE.iter().map(|folder| format!("{folder}/src/lib.rs"));
    let wrong: Vec<_> =
        roots.filter(|root| !read(root).contains("#![forbid(unsafe_code)]")).collect();
    expect_none("without #![forbid(unsafe_code)]", &wrong);
}

#[test]
fn silenced_lints_and_ignored_tests_give_a_reason() {
    let mut wrong = Vec::new();
    for source in sources() {
        for attribute in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in source.code.match_indices(attribute) {
                let text = source.code[at..].split(")]").next().unwrap_or_default();
                if !text.contains("reason =") {
                    wrong.push(format!("{}: {attribute}… without reason", place(&source, at)));
                }
            }
        }
        for (at, _) in source.code.match_indices("#[ignore]") {
            wrong.push(format!("{}: #[ignore = \"why\"]", place(&source, at)));
        }
    }
    expect_none("silenced without a word", &wrong);
}

#[test]
fn names_of_files_mean_something() {
    let wrong: Vec<_> = files()
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .filter(|path| {
            let mut parts = path.trim_end_matches(".rs").split('/');
            parts.any(|part| EMPTY_NAMES.contains(&part))
        })
        .collect();
    expect_none("names that say nothing", &wrong);
}

#[test]
fn tests_are_named_as_sentences() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (at, _) in source.code.match_indices("#[test]") {
            let rest = &source.code[at..];
            let name = rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            let name = name.unwrap_or_default().trim();
            if name.starts_with("test_") || name.matches('_').count() < 2 {
                wrong.push(format!("{}: {name}", place(&source, at)));
            }
        }
    }
    expect_none("tests whose name states no behaviour", &wrong);
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    // Spelt in pieces, so that this file does not find itself.
    let machine = [concat!("/", "work/"), concat!("/", "root/"), concat!("/home", "/"), "tgt-"];
    let text = ["rs", "toml", "md", "sh", "yml", "py", "service"];
    let mut wrong = Vec::new();
    for path in files() {
        let is_text = path.rsplit('.').next().is_some_and(|ending| text.contains(&ending))
            || path == "Makefile"
            || path.starts_with(".ci/");
        if !is_text || path.ends_with("tidy/words.rs") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            if let Some(found) = machine.iter().find(|part| line.contains(**part)) {
                wrong.push(format!("{path}:{}: {found}", number + 1));
            }
        }
    }
    expect_none("machine paths", &wrong);
}
