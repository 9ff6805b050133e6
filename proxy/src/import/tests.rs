//! Whole files in, whole files out: `testdata/NAME.ini` becomes `NAME.toml`, and people are told
//! `NAME.txt`. `BLESS=1` writes both anew.

use std::{collections::HashMap, fs, path::Path};

use super::{
    Completeness, ImportError, Imported, import,
    placeholder::{PlaceholderError, Placeholders},
    source::{self, SourceError},
};
use crate::config::Program;

const TESTDATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/import/testdata");
/// Stands in the files for a folder that exists while a test runs.
const FOLDER: &str = "/FOLDER";

/// Imports `NAME` of the test data, in a folder with what it names.
fn imported(program: Program, name: &str) -> Imported {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().display().to_string();
    for inner in ["keys", "certs", "owners", "apps", "run"] {
        fs::create_dir(folder.path().join(inner)).expect("a folder");
    }
    for file in ["site.crt", "site.key", "clients.pem"] {
        fs::write(folder.path().join(file), "").expect("a file");
    }
    let text = fs::read_to_string(format!("{TESTDATA}/{name}")).expect("test data");
    let path = folder.path().join(name);
    fs::write(&path, text.replace(FOLDER, &root)).expect("a file");
    let mut imported = import(program, &path).expect("a file that is understood");
    imported.toml = imported.toml.replace(&root, FOLDER);
    imported.notes = imported.notes.replace(&root, FOLDER);
    imported
}

fn compare(program: Program, source: &str, wanted: Completeness) {
    let imported = imported(program, source);
    let stem = Path::new(source).file_stem().expect("a name").to_string_lossy();
    for (ending, found) in [("toml", &imported.toml), ("txt", &imported.notes)] {
        let path = format!("{TESTDATA}/{stem}.{ending}");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, found).expect("test data can be written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(*found == expected, "{path} differs (BLESS=1 writes it):\n{found}");
    }
    assert_eq!(imported.completeness, wanted, "{}", imported.notes);
}

#[test]
fn a_public_router_of_signed_vassals_is_taken_over_whole() {
    compare(Program::Suzerain, "public.ini", Completeness::Whole);
}

#[test]
fn a_single_application_behind_its_own_router_gets_a_route() {
    compare(Program::Suzerain, "application.ini", Completeness::Whole);
}

#[test]
fn everything_that_cannot_be_had_is_named_with_its_line() {
    compare(Program::Suzerain, "awkward.ini", Completeness::Partial);
}

#[test]
fn a_fastrouter_is_imported_for_its_program() {
    compare(Program::Fastrouter, "fastrouter.ini", Completeness::Whole);
}

#[test]
fn the_plain_form_of_yaml_is_read() {
    compare(Program::Suzerain, "balanced.yml", Completeness::Whole);
}

#[test]
fn what_is_for_the_other_program_is_said_and_not_lost_in_silence() {
    let notes = imported(Program::Suzerain, "fastrouter.ini").notes;
    assert!(notes.contains("fastrouter: NOT translated: it is for suzerain-fastrouter"), "{notes}");
}

/// Each option of a file is counted, told, or both.
#[test]
fn no_line_is_left_out_in_silence() {
    for name in ["public.ini", "application.ini", "awkward.ini", "balanced.yml"] {
        let text = fs::read_to_string(format!("{TESTDATA}/{name}")).expect("test data");
        let path = Path::new(TESTDATA).join(name);
        let read = source::read(&path, None).expect("test data");
        let found = imported(Program::Suzerain, name);
        for entry in &read.entries {
            let told = found.notes.contains(&format!(":{}: ", entry.line));
            let put = found.toml.contains(&format!("# line {}: ", entry.line));
            assert!(told || put, "{name}:{}: {}\n{text}", entry.line, entry.name);
        }
    }
}

#[test]
fn a_result_that_names_what_is_not_there_is_not_called_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("r.ini");
    fs::write(&path, "[uwsgi]\nhttp = :80\nsni-dir = /nowhere/at/all\nhttp-to = 127.0.0.1:1\n")
        .expect("a file");
    let imported = import(Program::Suzerain, &path).expect("a file that is understood");
    assert_eq!(imported.completeness, Completeness::Partial);
    assert!(imported.notes.contains("the result: line "), "{}", imported.notes);
    assert!(imported.notes.contains("/nowhere/at/all"), "{}", imported.notes);
}

#[test]
fn files_that_say_nothing_are_refused_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        match import(Program::Suzerain, &path) {
            Err(ImportError::Source(error)) => error,
            Err(other) => panic!("{other}"),
            Ok(imported) => panic!("{}", imported.toml),
        }
    };
    let error = written("r.xml", b"<uwsgi><http>:80</http></uwsgi>");
    assert!(error.to_string().contains("--show-config"), "{error}");
    let error = written("r.ini", b"[router]\nhttp = :80\n");
    assert!(error.to_string().contains("there are: [router]"), "{error}");
    assert!(matches!(written("b.ini", b"\xff\xfe"), SourceError::NoText(_)));
    let error = import(Program::Suzerain, &folder.path().join("none.ini"));
    assert!(matches!(error, Err(ImportError::Source(SourceError::Unreadable { .. }))));
}

#[test]
fn another_section_is_named_behind_a_colon() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.ini");
    fs::write(&path, "[uwsgi]\nprocesses = 2\n[edge]\nhttp = :8080\nhttp-to = 127.0.0.1:1\n")
        .expect("a file");
    let named = format!("{}:edge", path.display());
    let imported = import(Program::Suzerain, Path::new(&named)).expect("a section");
    assert!(imported.toml.contains("http = [\":8080\"]"), "{}", imported.toml);
}

#[test]
fn placeholders_say_what_they_can_and_nothing_they_cannot() {
    let mut known = Placeholders::of(Path::new("/etc/uwsgi/edge.ini"), "uwsgi");
    known.note("base", "/srv/%n");
    let filled = |value: &str| known.fill(value);
    let cases = HashMap::from([
        ("%d%n.pem", "/etc/uwsgi/edge.pem"),
        ("%p|%s|%e|%c|%x", "/etc/uwsgi/edge.ini|edge.ini|ini|uwsgi|uwsgi"),
        ("/run/%%s.sock", "/run/%s.sock"),
        ("%(base)/x", "/srv/%n/x"),
        ("100% and a@b $5", "100% and a@b $5"),
    ]);
    for (value, wanted) in cases {
        assert_eq!(filled(value).as_deref(), Ok(wanted), "{value}");
    }
    assert_eq!(filled("$(HOME)/x"), Err(PlaceholderError::Environment("HOME".to_owned())));
    assert_eq!(filled("@(/etc/x)"), Err(PlaceholderError::Content("/etc/x".to_owned())));
    assert_eq!(filled("%(nobody)"), Err(PlaceholderError::Unset("nobody".to_owned())));
    assert_eq!(filled("%t"), Err(PlaceholderError::Magic('t')));
    assert_eq!(filled("%(open"), Err(PlaceholderError::Open));
}
