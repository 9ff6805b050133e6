//! The files of the repository.

use std::path::Path;

use crate::lexer;

/// Names of folders that hold nothing of ours.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];
/// What a load test writes.
const REPORT: &str = "loadtests/report";

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies one level down")
}

/// One Rust file.
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// The text.
    pub text: String,
    /// The text with comments and the contents of literals blanked; same lines.
    pub code: String,
}

impl Source {
    /// Line (from 1) of a byte offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    /// Byte offset where the inline tests at the end begin, or the end.
    pub fn tests_at(&self) -> usize {
        self.code.find("#[cfg(test)]\nmod tests {").unwrap_or(self.code.len())
    }
}

/// Whether the whole file is test code.
pub fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Every Rust file, in order.
pub fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|path| path.ends_with(".rs"));
    rust.map(|path| {
        let text = read(&path);
        let code = lexer::code_only(&text);
        Source { path, text, code }
    })
    .collect()
}

/// Every file, as a path from the root.
pub fn files() -> Vec<String> {
    let mut found = Vec::new();
    walk(root(), &mut found);
    found.sort();
    found
}

/// The text of a file; bytes that are not UTF-8 are replaced.
pub fn read(path: &str) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !SKIPPED.contains(&name.as_str()) && from_root(&path) != REPORT {
                walk(&path, found);
            }
        } else {
            found.push(from_root(&path));
        }
    }
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

/// Fails with every line of `wrong`, if there is any.
#[track_caller]
pub fn expect_none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}
