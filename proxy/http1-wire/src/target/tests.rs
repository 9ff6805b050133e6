//! Targets and decoded paths.

use super::{Target, TargetError, TargetForm, decode_path};
use crate::limits::TARGET_BYTES_MAX;
use crate::request::Method;
use crate::tests::unescape_line;

fn parse(raw: &str) -> Result<Target<'_>, TargetError> {
    Target::parse(raw.as_bytes(), Method::Get)
}

fn decoded(path: &str) -> Result<String, TargetError> {
    let mut out = b"kept:".to_vec();
    let outcome = decode_path(path.as_bytes(), &mut out);
    assert!(out.starts_with(b"kept:"));
    assert!(outcome.is_ok() || out == b"kept:", "a refused path must leave nothing behind");
    outcome.map(|()| String::from_utf8(out[5..].to_vec()).unwrap())
}

fn origin_form(target: &Target<'_>) -> String {
    let mut out = Vec::new();
    target.write_origin_form(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn origin_form_splits_at_the_first_question_mark() {
    let target = parse("/a?b?c=1?d").unwrap();
    assert_eq!((target.form(), target.path()), (TargetForm::Origin, &b"/a"[..]));
    assert_eq!(target.query(), Some(&b"b?c=1?d"[..]));
    assert_eq!(target.authority(), None);
    assert_eq!(parse("/a").unwrap().query(), None);
    assert_eq!(parse("/a?").unwrap().query(), Some(&b""[..]));
}

#[test]
fn absolute_form_gives_authority_and_origin_form() {
    for (raw, authority, path, origin) in [
        ("http://a.b:81/p/q?x", "a.b:81", "/p/q", "/p/q?x"),
        ("HTTPS://A.b", "A.b", "/", "/"),
        ("http://a.b?x", "a.b", "/", "/?x"),
        ("http://[::1]:80/", "[::1]:80", "/", "/"),
    ] {
        let target = parse(raw).unwrap();
        assert_eq!(target.form(), TargetForm::Absolute);
        assert_eq!(target.authority(), Some(authority.as_bytes()));
        assert_eq!(target.path(), path.as_bytes());
        assert_eq!(origin_form(&target), origin);
        assert_eq!(target.raw(), raw.as_bytes());
    }
    assert_eq!(parse("http://a.b?x").unwrap().query(), Some(&b"x"[..]));
}

#[test]
fn asterisk_form_is_for_options_only() {
    assert_eq!(parse("*").unwrap_err(), TargetError::Form);
    let target = Target::parse(b"*", Method::Options).unwrap();
    assert_eq!((target.form(), target.path()), (TargetForm::Asterisk, &b"*"[..]));
    let server = Target::parse(b"http://a.b", Method::Options).unwrap();
    assert_eq!(origin_form(&server), "*");
}

#[test]
fn targets_without_a_known_form_are_refused() {
    for raw in ["a", "a.b:80", "?x", "ftp://a/", "http:/a", "http:a", "rtsp://a/", "**", "//"] {
        let expected = if raw == "//" { None } else { Some(TargetError::Form) };
        assert_eq!(parse(raw).err(), expected, "{raw}");
    }
}

#[test]
fn authorities_no_host_can_have_are_refused() {
    for raw in ["http://", "http:///p", "http://u@a/", "http://a,b/", "http://a%2e/", "http://?x"] {
        assert_eq!(parse(raw).unwrap_err(), TargetError::Authority, "{raw}");
    }
    let long = format!("http://{}/", "a".repeat(256));
    assert_eq!(parse(&long).unwrap_err(), TargetError::Authority);
}

#[test]
fn only_visible_ascii_without_a_fragment_is_accepted() {
    for octet in 0..=255u8 {
        let raw = [b'/', octet, b'x'];
        let clean = (0x21..=0x7e).contains(&octet) && octet != b'#';
        let outcome = Target::parse(&raw, Method::Get);
        assert_eq!(outcome.err(), (!clean).then_some(TargetError::Octet), "{octet:#x}");
    }
}

#[test]
fn a_target_past_its_bound_is_too_long() {
    let longest = format!("/{}", "a".repeat(TARGET_BYTES_MAX - 1));
    assert!(parse(&longest).is_ok());
    assert_eq!(parse(&format!("{longest}a")).unwrap_err(), TargetError::TooLong);
}

/// Paths as the real router decoded them; see testdata/README.md for where they are from.
#[test]
fn recorded_paths_decode_as_recorded_where_that_is_safe() {
    let cases = include_str!("../../testdata/uwsgi_paths.tsv");
    let mut seen = 0;
    for case in cases.lines().filter(|line| !line.starts_with('#')) {
        let [raw, path, query, outcome] = case.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{case}")
        };
        let target = Target::parse(raw.as_bytes(), Method::Options).unwrap();
        assert_eq!(target.query().unwrap_or_default(), query.as_bytes());
        let mut out = Vec::new();
        match decode_path(target.path(), &mut out) {
            Ok(()) => assert_eq!((out, outcome), (unescape_line(path), "same"), "{raw}"),
            Err(error) => assert_eq!(error.label(), outcome, "{raw}"),
        }
        seen += 1;
    }
    assert!(seen >= 6);
}

#[test]
fn dot_segments_are_removed_and_never_climb_above_the_root() {
    for (raw, expected) in [
        ("/", "/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/./", "/"),
        ("/../", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/a/../../../b", "/b"),
        ("//a//b", "//a//b"),
        ("/a//../b", "/a/b"),
        ("/.a/..b/c./...", "/.a/..b/c./..."),
        ("/a/.../b", "/a/.../b"),
        ("/..a/b", "/..a/b"),
        ("/a/..;x/b", "/a/..;x/b"),
    ] {
        assert_eq!(decoded(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn encoded_dot_segments_are_treated_as_literal_ones() {
    for (raw, expected) in [
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E./b", "/b"),
        ("/a/.%2e", "/"),
        ("/%2e%2e/%2e%2e/x", "/x"),
        ("/a%2F..%2Fb", "/b"),
        ("/a%2f%2e%2e%2fb", "/b"),
        ("/%2e/x", "/x"),
        ("/%252e%252e/x", "/%2e%2e/x"),
        ("/%2F%2Fa", "///a"),
    ] {
        assert_eq!(decoded(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn malformed_escapes_are_refused() {
    for raw in ["/%", "/%4", "/%zz", "/a%%/", "/%4/", "/%g0", "/%0g", "/%+1", "/%u0041"] {
        assert_eq!(decoded(raw), Err(TargetError::Escape), "{raw}");
    }
}

#[test]
fn encoded_controls_are_refused() {
    for raw in ["/%00", "/a%0d%0ab", "/%1f", "/%7F", "/%09"] {
        assert_eq!(decoded(raw), Err(TargetError::ControlOctet), "{raw}");
    }
    assert_eq!(decoded("/%20%C3%A8"), Ok("/ è".to_owned()));
}

#[test]
fn the_asterisk_stays_itself() {
    assert_eq!(decoded("*"), Ok("*".to_owned()));
}

/// Goal: a decoded path is always below the root. Method: random mixtures of the dangerous pieces
/// against a segment stack.
#[test]
fn random_paths_decode_like_a_stack_of_segments() {
    let mut dice = crate::tests::Dice::new(7);
    let pieces = ["/", "/", "..", ".", "%2e", "%2F", "a", "%41", "%25", "?"];
    for _ in 0..20_000 {
        let mut raw = "/".to_owned();
        for _ in 0..dice.below(12) {
            raw.push_str(pieces[dice.below(pieces.len() - 1)]);
        }
        let plain = raw.replace("%2e", ".").replace("%2F", "/").replace("%41", "A");
        let plain = plain.replace("%25", "%");
        let mut stack: Vec<&str> = Vec::new();
        let segments: Vec<&str> = plain[1..].split('/').collect();
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            match *segment {
                "." | ".." => {
                    if *segment == ".." {
                        stack.pop();
                    }
                    if last {
                        stack.push("");
                    }
                }
                other => stack.push(other),
            }
        }
        assert_eq!(decoded(&raw), Ok(format!("/{}", stack.join("/"))), "{raw}");
    }
}
