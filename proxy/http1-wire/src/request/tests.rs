//! Request heads: one test per rule, each from raw bytes.

use super::{Method, RequestError, RequestHead, parse_request};
use crate::limits::{FIELDS_MAX, HEAD_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::tests::{Dice, unescape_line};
use crate::{
    ConnectionError, FieldSlots, FramingError, HeadEnd, HeadError, Parsed, RequestFraming,
    TargetError, Upgrade, Version, head_end,
};

/// Runs `check` on a head that must be complete.
fn accepted<T>(head: impl AsRef<[u8]>, check: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
    let head = head.as_ref();
    match parse_request(head, &mut FieldSlots::new()) {
        Ok(Parsed::Complete(parsed)) => check(&parsed),
        other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(head)),
    }
}

fn outcome(head: impl AsRef<[u8]>) -> Result<&'static str, RequestError> {
    Ok(match parse_request(head.as_ref(), &mut FieldSlots::new())? {
        Parsed::Complete(_) => "complete",
        Parsed::Partial => "partial",
    })
}

fn refused(head: impl AsRef<[u8]>) -> RequestError {
    outcome(&head).expect_err(&String::from_utf8_lossy(head.as_ref()))
}

/// A GET with these field lines after its Host.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.b\r\n{lines}\r\n\r\n")
}

fn forwarded(head: &str) -> Vec<String> {
    accepted(head, |head| {
        let lines = head.forwarded_fields();
        lines.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    })
}

#[test]
fn trailers_are_taken_where_te_says_so_and_connection_says_that_it_is_there() {
    let takes = |version: &str, fields: &str| {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        match parse_request(text.as_bytes(), &mut slots) {
            Ok(Parsed::Complete(head)) => head.takes_trailers,
            other => panic!("{other:?}"),
        }
    };
    assert!(takes("1.1", "Connection: TE\r\nTE: trailers\r\n"));
    assert!(takes("1.1", "Connection: close, te\r\nTE: deflate;q=0.5 , Trailers\r\n"));
    assert!(!takes("1.0", "Connection: TE\r\nTE: trailers\r\n"));
    assert!(!takes("1.1", "TE: trailers\r\n"));
    assert!(!takes("1.1", "Connection: TE\r\nTE: deflate\r\n"));
    assert!(!takes("1.1", "Connection: TE\r\n"));
}

#[test]
fn a_plain_request_is_taken_apart() {
    let head =
        "POST /p?q HTTP/1.1\r\nhOsT: A.b:80\r\nContent-Length: 3\r\nX-A: \t v\u{a0} \r\n\r\nabc";
    accepted(head, |parsed| {
        assert_eq!((parsed.method, parsed.version), (Method::Post, Version::Http11));
        assert_eq!((parsed.host, parsed.framing), (&b"A.b:80"[..], RequestFraming::Length(3)));
        assert_eq!((parsed.head_bytes, parsed.target.raw()), (head.len() - 3, &b"/p?q"[..]));
        assert!(parsed.keep_alive && !parsed.expect_continue && parsed.upgrade.is_none());
        assert_eq!((parsed.fields.len(), parsed.fields.first("x-a")), (3, Some(&b"v\xc2\xa0"[..])));
    });
}

#[test]
fn recorded_requests_get_their_verdict() {
    let cases = include_str!("../../testdata/uwsgi_requests.tsv");
    for case in cases.lines().filter(|line| !line.starts_with('#')) {
        let [name, verdict, bytes] = case.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{case}")
        };
        let label = outcome(unescape_line(bytes)).unwrap_or_else(RequestError::label);
        assert_eq!(label, verdict, "{name}");
    }
}

#[test]
fn methods_are_tokens_in_their_case() {
    for (name, method) in [("GET", Method::Get), ("get", Method::Other("get"))] {
        accepted(format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n"), |head| {
            assert_eq!((head.method, head.method.as_str()), (method, name));
        });
    }
    for bad in ["G(T / HTTP/1.1", "G\x01T / HTTP/1.1", " GET / HTTP/1.1", "\u{e9} / HTTP/1.1"] {
        assert_eq!(refused(format!("{bad}\r\nHost: a\r\n\r\n")), RequestError::Method, "{bad}");
    }
    let long = "M".repeat(METHOD_BYTES_MAX + 1);
    assert_eq!(refused(&long), RequestError::MethodTooLong);
    assert_eq!(
        refused(format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n")),
        RequestError::MethodTooLong
    );
}

#[test]
fn connect_is_refused() {
    for head in [
        "CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a.b:443 ",
        "CONNECT a.b:443 HTTP/2.0\r\n\r\n",
        "CONNECT a\r\n\r\n",
    ] {
        assert_eq!(refused(head), RequestError::Connect, "{head}");
        assert_eq!(refused(head).status(), 501);
    }
}

#[test]
fn request_lines_of_other_shapes_are_refused() {
    for line in ["GET /", "GET", "GET  / HTTP/1.1", "GET / ", "GET\t/\tHTTP/1.1"] {
        let error = refused(format!("{line}\r\nHost: a\r\n\r\n"));
        let known = matches!(
            error,
            RequestError::RequestLine | RequestError::Method | RequestError::VersionSyntax
        );
        assert!(known && error.status() == 400, "{line}: {error:?}");
    }
}

#[test]
fn only_the_two_versions_are_spoken() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"] {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(&head), RequestError::VersionUnsupported, "{version}");
        assert_eq!(refused(&head).status(), 505);
    }
    for version in [
        "FOO/9.9",
        "http/1.1",
        "HTTP/1.10",
        "HTTP/11",
        "HTTP/1,1",
        "HTTP",
        "HTTPS/1.1",
        "HTTP/1.1 ",
        "x HTTP/1.1",
        "HTTP/+1.1",
        "HTTP/2",
    ] {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(&head).status(), 400, "{version}: {:?}", refused(&head));
    }
}

#[test]
fn targets_are_checked() {
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(refused(head("/a#b")), TargetError::Octet.into());
    assert_eq!(refused(head("/\u{e9}")), TargetError::Octet.into());
    assert_eq!(refused(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), TargetError::Octet.into());
    assert_eq!(refused(b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n"), TargetError::Octet.into());
    assert_eq!(refused(b"GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n"), TargetError::Octet.into());
    assert_eq!(refused(head("a/b")), TargetError::Form.into());
    assert_eq!(refused(head("*")), TargetError::Form.into());
    assert_eq!(refused(head("http://u@a/")), TargetError::Authority.into());
    let long = head(&"/".repeat(TARGET_BYTES_MAX + 1));
    assert_eq!(refused(&long).status(), 414);
    assert_eq!(refused(&long[..TARGET_BYTES_MAX + 20]), TargetError::TooLong.into());
}

#[test]
fn lines_end_in_crlf_and_nothing_else() {
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        "GET /\n",
        "GET\n",
        "GET /\rx",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\n b\r\n\r\n",
    ] {
        assert_eq!(refused(head), HeadError::BareLineBreak.into(), "{head:?}");
    }
}

#[test]
fn folded_lines_are_refused() {
    assert_eq!(refused(with("X: a\r\n b")), HeadError::ObsFold.into());
    assert_eq!(refused(with("X: a\r\n\tb")), HeadError::ObsFold.into());
    assert_eq!(refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HeadError::ObsFold.into());
    assert_eq!(refused(with("X:\r\n a")), HeadError::ObsFold.into());
}

#[test]
fn field_names_are_tokens() {
    for line in [": v", "garbage", "X(: v", "X\u{e9}: v", "X\x01: v", "X\0: v", "\"X\": v", "X@: v"]
    {
        assert_eq!(refused(with(line)), HeadError::FieldName.into(), "{line:?}");
    }
    assert_eq!(refused(with("X : v")), HeadError::SpaceBeforeColon.into());
    assert_eq!(refused(with("X\t: v")), HeadError::SpaceBeforeColon.into());
    assert_eq!(refused(with("Content-Length : 3")), HeadError::SpaceBeforeColon.into());
}

/// Goal: the tokeniser's vector code agrees with the grammar at every position. Method: each octet
/// at each offset of a long name and a long value.
#[test]
fn every_octet_is_judged_alike_at_every_offset() {
    for octet in (0..=255u8).filter(|octet| !matches!(octet, b'\r' | b'\n')) {
        for offset in 0..70 {
            let mut value = [b'v'; 72];
            value[offset] = octet;
            let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &value[..], b"\r\n\r\n"].concat();
            assert_eq!(outcome(&head).is_ok(), crate::octets::is_field_value(octet), "{octet:#x}");

            let mut name = [b'n'; 72];
            name[offset] = octet;
            let head = [b"GET / HTTP/1.1\r\nHost: a\r\n", &name[..], b": v\r\n\r\n"].concat();
            let colon = octet == b':' && offset > 0;
            assert_eq!(outcome(&head).is_ok(), crate::octets::is_token(octet) || colon);
        }
    }
}

#[test]
fn controls_in_values_are_refused() {
    for line in ["X: a\0b", "X: \x01", "X: a\x7f", "X: \x0b", "X: a\x1bb"] {
        assert_eq!(refused(with(line)), HeadError::FieldValue.into(), "{line:?}");
    }
    assert_eq!(outcome(with("X: a\tb\u{e9}")), Ok("complete"));
}

#[test]
fn too_many_fields_and_too_large_heads_get_431() {
    let lines = |count: usize| vec!["X: y"; count].join("\r\n");
    assert_eq!(outcome(with(&lines(FIELDS_MAX - 1))), Ok("complete"));
    assert_eq!(refused(with(&lines(FIELDS_MAX))), HeadError::TooManyFields.into());

    let large = |bytes: usize| {
        let empty = with("X: ").len();
        with(&format!("X: {}", "v".repeat(bytes - empty)))
    };
    assert_eq!(outcome(large(HEAD_BYTES_MAX)), Ok("complete"));
    let over = large(HEAD_BYTES_MAX + 1);
    assert_eq!(refused(&over), HeadError::HeadTooLarge.into());
    assert_eq!(refused(&over[..HEAD_BYTES_MAX]), HeadError::HeadTooLarge.into());
    assert_eq!(refused(&over).status(), 431);
}

#[test]
fn http11_needs_exactly_one_host() {
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), RequestError::HostMissing);
    assert_eq!(refused(with("Host: a.b")), RequestError::HostRepeated);
    assert_eq!(refused(with("hOST: c")), RequestError::HostRepeated);
    accepted("GET / HTTP/1.0\r\n\r\n", |head| assert_eq!(head.host, b""));
    accepted("GET / HTTP/1.0\r\nHost: a\r\n\r\n", |head| assert_eq!(head.host, b"a"));
    assert_eq!(refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), RequestError::HostRepeated);
}

#[test]
fn hosts_with_octets_no_host_has_are_refused() {
    for host in
        ["", " ", "a b", "a,b", "u@a", "a/b", "a%2eb", "a\tb", "a?b", "a#b", "a\\b", "\u{e9}"]
    {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refused(&head), RequestError::HostMalformed, "{host:?}");
    }
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(256));
    assert_eq!(refused(head), RequestError::HostMalformed);
    for host in ["a", "A.b_c-d.", "1.2.3.4:80", "[::1]:8080"] {
        accepted(format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n"), |head| {
            assert_eq!(head.host, host.as_bytes());
        });
    }
}

#[test]
fn an_absolute_target_must_agree_with_host() {
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a.b:80\r\n\r\n");
    for target in ["http://other:81/p", "http://a.b/", "http://a.b:81/", "https://a.b.:80/"] {
        assert_eq!(refused(head(target)), RequestError::HostDisagrees, "{target}");
    }
    accepted(head("http://A.B:80/p"), |head| assert_eq!(head.host, b"a.b:80"));
    accepted("GET http://x/ HTTP/1.0\r\n\r\n", |head| assert_eq!(head.host, b"x"));
    assert_eq!(refused("GET http://x/ HTTP/1.1\r\n\r\n"), RequestError::HostMissing);
}

#[test]
fn content_length_is_one_plain_number() {
    for value in [
        "",
        "abc",
        "-1",
        "+5",
        "3,3",
        "3, 5",
        "0x3",
        "3 3",
        "3;",
        "1e3",
        "9223372036854775808",
        "99999999999999999999999",
        "\u{663}",
    ] {
        let head = with(&format!("Content-Length: {value}"));
        assert_eq!(refused(head), FramingError::LengthMalformed.into(), "{value:?}");
    }
    for (value, length) in [("0", 0), ("007", 7), ("9223372036854775807", i64::MAX as u64)] {
        accepted(with(&format!("Content-Length: {value}")), |head| {
            assert_eq!(head.framing, RequestFraming::Length(length));
        });
    }
    for second in ["3", "4"] {
        let head = with(&format!("Content-Length: 3\r\ncontent-length: {second}"));
        assert_eq!(refused(head), FramingError::LengthRepeated.into());
    }
}

#[test]
fn transfer_encoding_is_chunked_alone() {
    for value in [
        "",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "chunked;q=1",
        "identity",
        "chunked\tx",
    ] {
        let head = with(&format!("Transfer-Encoding: {value}"));
        assert_eq!(refused(head), FramingError::CodingUnknown.into(), "{value:?}");
    }
    let twice = with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked");
    assert_eq!(refused(twice), FramingError::CodingRepeated.into());
    accepted(with("transfer-encoding: ChunKed"), |head| {
        assert_eq!(head.framing, RequestFraming::Chunked);
    });
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(old), FramingError::CodingInHttp10.into());
}

#[test]
fn length_beside_coding_is_refused_in_either_order() {
    for lines in [
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(refused(with(lines)), FramingError::CodingWithLength.into());
    }
}

#[test]
fn persistence_follows_version_and_options() {
    for (version, options, keep) in [
        ("1.1", "X: y", true),
        ("1.1", "Connection: close", false),
        ("1.1", "Connection: keep-alive, CLOSE", false),
        ("1.1", "Connection: , ,", true),
        ("1.1", "Connection: x\r\nConnection: close", false),
        ("1.0", "X: y", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive, close", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{options}\r\n\r\n");
        accepted(&head, |head| assert_eq!(head.keep_alive, keep, "{version} {options}"));
    }
}

#[test]
fn connection_may_not_name_what_frames_or_routes() {
    for name in ["Host", "content-length", "close, Transfer-Encoding"] {
        let head = with(&format!("Connection: {name}"));
        assert_eq!(refused(head), ConnectionError::NominatesFraming.into());
    }
    for value in ["a b", "a;b", "\"close\"", "(x)"] {
        let head = with(&format!("Connection: {value}"));
        assert_eq!(refused(head), ConnectionError::Malformed.into(), "{value}");
    }
    let head = with(&format!("Connection: {}", "x,".repeat(17)));
    assert_eq!(refused(head), ConnectionError::TooManyNames.into());
}

#[test]
fn expectations_other_than_continue_get_417() {
    let post = |lines: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
    accepted(post("Content-Length: 3\r\nExpect: 100-Continue"), |h| assert!(h.expect_continue));
    accepted(post("Transfer-Encoding: chunked\r\nexpect: 100-continue"), |h| {
        assert!(h.expect_continue);
    });
    accepted(post("Expect: 100-continue"), |head| assert!(!head.expect_continue));
    let old = "POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    accepted(old, |head| assert!(!head.expect_continue));
    assert_eq!(refused(post("Expect: cake")).status(), 417);
    assert_eq!(
        refused(post("Expect: 100-continue\r\nExpect: 100-continue")),
        RequestError::Expectation
    );
}

#[test]
fn an_upgrade_needs_its_connection_option_and_http11() {
    let both = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket";
    accepted(with(both), |head| assert_eq!(head.upgrade, Some(Upgrade::WebSocket)));
    accepted(with("Upgrade: websocket"), |head| assert_eq!(head.upgrade, None));
    accepted(with("Connection: Upgrade\r\nUpgrade: h2c"), |head| {
        assert_eq!(head.upgrade, Some(Upgrade::Other(b"h2c")));
    });
    accepted(format!("GET / HTTP/1.0\r\n{both}\r\n\r\n"), |h| assert_eq!(h.upgrade, None));
    let body = with(&format!("{both}\r\nContent-Length: 3"));
    accepted(body, |h| assert!(matches!(h.upgrade, Some(Upgrade::Other(_)))));
    let twice = with(&format!("{both}\r\nUpgrade: websocket"));
    accepted(twice, |h| assert!(matches!(h.upgrade, Some(Upgrade::Other(_)))));
}

#[test]
fn only_end_to_end_fields_without_claims_travel_on() {
    let head = with(
        "Accept: */*\r\nConnection: close, X-Hop, Keep-Alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: x\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\
         Proxy-Authorization: x\r\nProxy: evil\r\nX_Forwarded_For: 1\r\nX-Under_Score: 1\r\n\
         X-Forwarded-For: 1\r\nx-forwarded-anything: 1\r\nForwarded: for=1\r\nX-Real-IP: 1\r\n\
         Content-Length: 0\r\nContent-Type: text/x\r\nExpect: 100-continue\r\nX-Forward: ok\r\n\
         X-Hop2: ok\r\nCookie: a_b=1\r\nProxy-Status: ok\r\nContent_Length: 5\r\nCookie: c=2",
    );
    assert_eq!(
        forwarded(&head),
        [
            "Accept: */*",
            "Content-Type: text/x",
            "X-Forward: ok",
            "X-Hop2: ok",
            "Cookie: a_b=1",
            "Proxy-Status: ok",
            "Cookie: c=2",
        ]
    );
}

#[test]
fn the_rule_for_a_single_name_is_the_rule_for_a_head() {
    for name in ["Accept", "Cookie", "X-Forward", "Content-Type", "x", "X-Forwarded", "Upgraded"] {
        assert!(crate::is_forwardable(name), "{name}");
        assert_eq!(forwarded(&with(&format!("{name}: v"))).len(), 1);
    }
    for name in
        ["proxy", "X_A", "x-forwarded-", "X-FORWARDED-host", "te", "HOST", "Upgrade", "x-Real-ip"]
    {
        assert!(!crate::is_forwardable(name), "{name}");
    }
}

#[test]
fn what_cannot_become_a_request_is_refused_at_once() {
    for (start, label) in [
        ("\x16\x03\x01\x02", "method"),
        ("\r", "leading_empty_line"),
        ("\n", "leading_empty_line"),
        ("GET / HTTP/1.1\n", "bare_cr_or_lf"),
        ("GET / HTTP/2", "version_unsupported"),
        ("GET / HTTP/1.1\r\nX : ", "space_before_colon"),
        ("GET / XTTP", "version_syntax"),
        ("GET / HTTP/1.1\r\nX: \0", "field_value"),
        ("GET / HTTP/1.1\r\nHost: a\r\n b", "obs_fold"),
        ("CONNECT a", "connect"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version_unsupported"),
    ] {
        assert_eq!(refused(start).label(), label, "{start:?}");
    }
}

/// Goal: H10, any split gives the same result. Method: good and damaged heads; every prefix is
/// partial or already refused, and a prefix's refusal is never taken back.
#[test]
fn cutting_a_head_anywhere_never_changes_its_verdict() {
    let mut dice = Dice::new(0xbead);
    let base = with(
        "Accept: */*\r\nContent-Length: 12\r\nConnection: keep-alive\r\nX-A: b\r\nCookie: a=b_c",
    );
    for _ in 0..1500 {
        let mut head = base.clone().into_bytes();
        for _ in 0..dice.below(3) {
            let at = dice.below(head.len());
            head[at] = dice.framing_octet();
        }
        let whole = outcome(&head);
        let mut scanned = 0;
        for end in 0..head.len() {
            match outcome(&head[..end]) {
                Ok("partial") => {}
                Ok(_) => assert_eq!(whole, Ok("complete"), "{:?}", head.escape_ascii().to_string()),
                Err(_) => assert!(whole.is_err(), "{end} {:?}", head.escape_ascii().to_string()),
            }
            if let Ok(HeadEnd::Partial(next)) = head_end(&head[..end], scanned) {
                assert!(next >= scanned && next <= end);
                scanned = next;
            }
        }
        if whole == Ok("complete") {
            let bytes = accepted(&head, |parsed| parsed.head_bytes);
            assert_eq!(head_end(&head, 0), Ok(HeadEnd::At(bytes)));
            assert_eq!(head_end(&head, scanned.min(bytes - 1)), Ok(HeadEnd::At(bytes)));
        }
    }
}

#[test]
fn the_end_of_a_head_is_found_from_where_the_last_scan_stopped() {
    let head = with("X: y");
    let mut scanned = 0;
    for end in 0..head.len() {
        let Ok(HeadEnd::Partial(next)) = head_end(&head.as_bytes()[..end], scanned) else {
            panic!("{end}")
        };
        scanned = next;
    }
    let all = format!("{head}GET /next");
    assert_eq!(head_end(all.as_bytes(), scanned), Ok(HeadEnd::At(head.len())));
    assert_eq!(head_end(b"GET / HTTP/1.1\r\nX: y\n", 17), Err(HeadError::BareLineBreak));
    assert_eq!(head_end(b"GET / HTTP/1.1\r\nX: y\rz", 17), Err(HeadError::BareLineBreak));
    let large = vec![b'x'; HEAD_BYTES_MAX];
    assert_eq!(head_end(&large, 0), Err(HeadError::HeadTooLarge));
}
