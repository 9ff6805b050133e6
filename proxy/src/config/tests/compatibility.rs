//! `docs/COMPATIBILITY.md` names only options that exist.

use super::super::catalog::OPTIONS;

#[test]
fn options_named_with_dashes_are_ours() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/COMPATIBILITY.md");
    let page = std::fs::read_to_string(path).expect("the document is there");
    let named: Vec<_> = page.split("`--").skip(1).collect();
    assert!(named.len() > 40, "the document names options");
    for rest in named {
        let end = rest.find(['`', ' ']).unwrap_or(rest.len());
        let name = &rest[..end];
        assert!(OPTIONS.iter().any(|facts| facts.name == name && facts.is_flag()), "--{name}");
    }
}
