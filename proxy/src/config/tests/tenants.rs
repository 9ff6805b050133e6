//! What `[tenant."NAME"]` tables come to, and how mistakes in them are told.

use std::os::unix::fs::PermissionsExt as _;

use router_core::admin::Refusal;
use router_core::admin::access::Viewer;

use super::*;

const OPERATOR: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn token_file(folder: &std::path::Path, name: &str, text: &str, mode: u32) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    path.display().to_string()
}

#[test]
fn a_tenants_token_shows_its_keys_and_the_operators_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = token_file(folder.path(), "shop", "token-of-the-shop\n", 0o640);
    let file = Written::new(&format!(
        "http = \":1\"\nadmin-token-sha256 = \"{OPERATOR}\"\n\
         [tenant.shop]\nkeys = [\"shop.example\", \".shop.example\"]\ntoken-file = \"{token}\"\n"
    ));
    let access = file.load(&[]).expect("a right file").viewers.access();
    let admit = |token: &str| access.admit(Some(format!("Bearer {token}").as_bytes()));
    assert!(matches!(admit("secret"), Ok(Viewer::Operator)));
    let Ok(Viewer::Tenant(shop)) = admit("token-of-the-shop") else { panic!("the shop") };
    assert_eq!(shop.name, "shop");
    assert!(shop.keys.hold("a.shop.example") && !shop.keys.hold("rival.example"));
    assert!(matches!(access.admit(None), Err(Refusal::NoToken)), "tokens make tokens required");
}

#[test]
fn whoever_has_no_token_is_answered_if_the_operator_says_so() {
    let file = Written::new(&format!(
        "http = \":1\"\nadmin-auth = \"optional\"\nadmin-token-sha256 = \"{OPERATOR}\"\n"
    ));
    let access = file.load(&[]).expect("a right file").viewers.access();
    assert!(matches!(access.admit(None), Ok(Viewer::Operator)));
    let none = Written::new("http = \":1\"\n").load(&[]).expect("a right file").viewers.access();
    assert!(matches!(none.admit(None), Ok(Viewer::Operator)), "as without any of this");
}

#[test]
fn every_problem_of_a_tenant_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = token_file(folder.path(), "open", "token-of-the-shop", 0o644);
    let short = token_file(folder.path(), "short", "short", 0o600);
    let file = Written::new(&format!(
        "http = \":1\"\nadmin-auth = \"sometimes\"\nadmin-token-sha256 = \"{OPERATOR}\"\n\
         [tenant.a]\ntoken-sha256 = \"12\"\n\
         [tenant.b]\nkeys = \".b.example:80\"\ntoken-file = \"{open}\"\n\
         [tenant.c]\nkeys = \"c.example\"\ntoken-file = \"{short}\"\nworkers = 2\n\
         [tenant.\"<d>\"]\nkeys = \"d.example\"\ntoken-sha256 = \"{OPERATOR}\"\n\
         [tenant.e]\nkeys = \"e.example\"\ntoken-sha256 = \"{OPERATOR}\"\n\
         [tenant]\nf = 1\n"
    ));
    let problems = file.problems().join("\n");
    for part in [
        "r.toml:2:14: admin-auth \"sometimes\": neither; allowed: required or optional",
        "r.toml:4:9: tenant \"a\" has no keys",
        "r.toml:5:16: tenant.token-sha256 \"12\": not 64 hexadecimal digits",
        "r.toml:7:8: tenant.keys \".b.example:80\": a suffix holds for every port",
        ": everybody may read or write it: chmod o= it; allowed:",
        ": 5 characters; allowed:",
        "unknown key \"tenant.workers\"",
        "tenant \"<d>\": no name; allowed: 1 to 64 letters, digits, -, _ and .",
        "tenant \"e\" has a token that an earlier tenant or an operator has too",
        "an integer below tenant; allowed: tables, as [tenant.\"shop\"]",
    ] {
        assert!(problems.contains(part), "{part} not in\n{problems}");
    }
}
