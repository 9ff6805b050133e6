//! Sizes and module documentation.

use crate::tree::{Source, expect_none, is_test, sources};

/// Longest file, inline tests not counted.
const FILE_LINES_MAX: usize = 400;
/// Longest file of tests.
const TEST_FILE_LINES_MAX: usize = 600;
/// Files that are one table: splitting it would hide what is in it.
const TABLES: &[&str] =
    &["proxy/src/config/catalog.rs", "proxy/router-core/src/metrics/catalog.rs"];
/// Longest function of the product.
const FUNCTION_LINES_MAX: usize = 70;
/// How many of the longest are printed.
const SHOWN: usize = 10;

/// A function and its extent.
struct Function {
    place: String,
    lines: usize,
    is_test: bool,
}

#[test]
fn every_file_says_what_it_is_for() {
    let missing = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    let missing: Vec<_> = missing.map(|source| source.path).collect();
    expect_none("files that do not begin with //!", &missing);
}

#[test]
fn files_and_functions_fit() {
    let sources = sources();
    let mut files: Vec<_> = sources
        .iter()
        .map(|source| (source.line_of(source.tests_at()), source.path.clone()))
        .collect();
    files.sort_by(|one, other| other.cmp(one));
    let mut functions: Vec<_> = sources.iter().flat_map(functions_of).collect();
    functions.sort_by_key(|function| std::cmp::Reverse(function.lines));
    eprintln!("longest files:");
    for (lines, path) in files.iter().take(SHOWN) {
        eprintln!("  {lines:5}  {path}");
    }
    eprintln!("longest functions:");
    for function in functions.iter().take(SHOWN) {
        eprintln!("  {:5}  {}", function.lines, function.place);
    }
    let mut wrong: Vec<_> = files
        .iter()
        .filter(|(lines, path)| *lines > file_lines_max(path))
        .map(|(lines, path)| format!("{path}: {lines} > {}", file_lines_max(path)))
        .collect();
    let long = functions.iter().filter(|function| !function.is_test);
    let long = long.filter(|function| function.lines > FUNCTION_LINES_MAX);
    wrong.extend(long.map(|each| format!("{}: {} > {FUNCTION_LINES_MAX}", each.place, each.lines)));
    expect_none("too long; give the parts names", &wrong);
}

fn file_lines_max(path: &str) -> usize {
    match path {
        path if TABLES.contains(&path) => usize::MAX,
        path if is_test(path) => TEST_FILE_LINES_MAX,
        _ => FILE_LINES_MAX,
    }
}

fn functions_of(source: &Source) -> Vec<Function> {
    let code = source.code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("fn ") {
        let starts_word = at == 0 || !code[at - 1].is_ascii_alphanumeric() && code[at - 1] != b'_';
        let name: String = source.code[at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        let Some(open) = body_of(code, at) else { continue };
        let lines = source.line_of(close_of(code, open)) - source.line_of(at) + 1;
        let place = format!("{}:{} {name}", source.path, source.line_of(at));
        found.push(Function {
            place,
            lines,
            is_test: is_test(&source.path) || at > source.tests_at(),
        });
    }
    found
}

/// Offset of the brace that opens the body; `None` for a declaration or a function type.
fn body_of(code: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0;
    for (step, byte) in code[at..].iter().enumerate() {
        match byte {
            b'>' if code[at + step - 1] == b'-' => {}
            b'(' | b'[' | b'<' => depth += 1,
            b')' | b']' | b'>' if depth == 0 => return None,
            b')' | b']' | b'>' => depth -= 1,
            b';' | b',' | b'=' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(at + step),
            _ => {}
        }
    }
    None
}

fn close_of(code: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (step, byte) in code[open..].iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + step;
        }
    }
    code.len() - 1
}
