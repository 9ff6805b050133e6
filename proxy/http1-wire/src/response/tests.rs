//! Response heads: the same rules, and where their bodies end.

use super::{ResponseError, ResponseHead, ResponseTo, parse_response};
use crate::limits::{FIELDS_MAX, HEAD_BYTES_MAX};
use crate::{
    ConnectionError, FieldSlots, FramingError, HeadError, Parsed, ResponseFraming, Version,
};

fn accepted_for<T>(
    request: ResponseTo,
    head: impl AsRef<[u8]>,
    check: impl FnOnce(&ResponseHead<'_, '_>) -> T,
) -> T {
    let head = head.as_ref();
    match parse_response(head, &mut FieldSlots::new(), request) {
        Ok(Parsed::Complete(parsed)) => check(&parsed),
        other => panic!("{:?} gave {other:?}", String::from_utf8_lossy(head)),
    }
}

fn accepted<T>(head: impl AsRef<[u8]>, check: impl FnOnce(&ResponseHead<'_, '_>) -> T) -> T {
    accepted_for(ResponseTo::Other, head, check)
}

fn outcome(head: impl AsRef<[u8]>) -> Result<&'static str, ResponseError> {
    Ok(match parse_response(head.as_ref(), &mut FieldSlots::new(), ResponseTo::Other)? {
        Parsed::Complete(_) => "complete",
        Parsed::Partial => "partial",
    })
}

fn refused(head: impl AsRef<[u8]>) -> ResponseError {
    outcome(&head).expect_err(&String::from_utf8_lossy(head.as_ref()))
}

fn with(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")
}

#[test]
fn a_plain_response_is_taken_apart() {
    let head = with("Content-Type: a/b\r\nContent-Length: 2");
    accepted(format!("{head}ok"), |parsed| {
        assert_eq!((parsed.version, parsed.status), (Version::Http11, 200));
        assert_eq!((parsed.reason, parsed.head_bytes), (&b"OK"[..], head.len()));
        assert_eq!(parsed.framing, ResponseFraming::Length(2));
        assert!(parsed.keep_alive && !parsed.is_interim());
        assert_eq!(parsed.fields.first("content-type"), Some(&b"a/b"[..]));
    });
}

#[test]
fn reason_phrases_may_be_odd_or_missing() {
    for (line, reason) in [
        ("HTTP/1.1 200", &b""[..]),
        ("HTTP/1.1 200 ", b""),
        ("HTTP/1.1 200 Not \t so OK", b"Not \t so OK"),
        ("HTTP/1.1 200  two", b" two"),
        ("HTTP/1.1 200 \u{e9}", b"\xc3\xa9"),
    ] {
        accepted(format!("{line}\r\nContent-Length: 0\r\n\r\n"), |head| {
            assert_eq!(head.reason, reason, "{line}");
        });
    }
}

#[test]
fn malformed_status_lines_are_refused() {
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 abc",
        "HTTP/1.1 099 x",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 -20 x",
        "HTTP/1.1 200 a\0b",
        "hello",
        "<html>",
        " HTTP/1.1 200 OK",
        "\r\nHTTP/1.1 200 OK",
        "\nHTTP/1.1 200 OK",
        "Status: 200 OK",
        "HTTPS/1.1 200 OK",
    ] {
        let error = refused(format!("{line}\r\n\r\n"));
        assert_eq!(error, ResponseError::StatusLine, "{line:?}");
        assert_eq!(error.status(), 502);
    }
    for line in ["HTTP/2.0 200 OK", "HTTP/1.2 200 OK", "HTTP/0.9 200 OK"] {
        assert_eq!(refused(format!("{line}\r\n\r\n")), ResponseError::Version, "{line:?}");
    }
}

#[test]
fn heads_break_the_same_rules_as_requests() {
    for (head, error) in [
        ("HTTP/1.1 200 OK\nA: b\r\n\r\n".to_owned(), HeadError::BareLineBreak),
        (with("A: b\nC: d"), HeadError::BareLineBreak),
        (with("A: b\rC: d"), HeadError::BareLineBreak),
        ("HTTP/1.1 200 OK\r\nA: b\r\n\n".to_owned(), HeadError::BareLineBreak),
        (with("A: b\r\n c"), HeadError::ObsFold),
        (with("A : b"), HeadError::SpaceBeforeColon),
        (with(": b"), HeadError::FieldName),
        (with("nonsense"), HeadError::FieldName),
        (with("A(: b"), HeadError::FieldName),
        (with("A: \0"), HeadError::FieldValue),
        (with(&vec!["A: b"; FIELDS_MAX + 1].join("\r\n")), HeadError::TooManyFields),
        (with(&format!("A: {}", "b".repeat(HEAD_BYTES_MAX))), HeadError::HeadTooLarge),
    ] {
        assert_eq!(refused(&head), error.into(), "{:?}", head.get(..60));
    }
    assert_eq!(refused("HTTP/1.1 200 OK\n"), HeadError::BareLineBreak.into());
}

#[test]
fn framing_in_doubt_is_refused() {
    for (lines, error) in [
        ("Content-Length: 1\r\nTransfer-Encoding: chunked", FramingError::CodingWithLength),
        ("Content-Length: 1\r\nContent-Length: 1", FramingError::LengthRepeated),
        ("Content-Length: 1, 1", FramingError::LengthMalformed),
        ("Content-Length: -1", FramingError::LengthMalformed),
        ("Content-Length:", FramingError::LengthMalformed),
        ("Transfer-Encoding: gzip, chunked", FramingError::CodingUnknown),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", FramingError::CodingRepeated),
    ] {
        assert_eq!(refused(with(lines)), error.into(), "{lines}");
    }
    assert_eq!(
        refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        FramingError::CodingInHttp10.into()
    );
    assert_eq!(refused(with("Connection: Host")), ConnectionError::NominatesFraming.into());
}

#[test]
fn bodies_end_where_rfc_9112_says() {
    use ResponseFraming::{Chunked, Length, None, UntilClose};
    for (request, status, lines, framing) in [
        (ResponseTo::Other, 200, "A: b", UntilClose),
        (ResponseTo::Other, 200, "Content-Length: 0", Length(0)),
        (ResponseTo::Other, 200, "Transfer-Encoding: chunked", Chunked),
        (ResponseTo::Head, 200, "Transfer-Encoding: chunked", None),
        (ResponseTo::Head, 200, "Content-Length: 9", None),
        (ResponseTo::Head, 404, "A: b", None),
        (ResponseTo::Other, 204, "A: b", None),
        (ResponseTo::Other, 304, "Content-Length: 9", None),
        (ResponseTo::Other, 100, "A: b", None),
        (ResponseTo::Other, 103, "Link: x", None),
        (ResponseTo::Other, 101, "Upgrade: websocket", None),
        (ResponseTo::Other, 500, "A: b", UntilClose),
        (ResponseTo::Other, 999, "A: b", UntilClose),
        (ResponseTo::Other, 205, "Content-Length: 0", Length(0)),
    ] {
        let head = format!("HTTP/1.1 {status} x\r\n{lines}\r\n\r\n");
        accepted_for(request, &head, |head| {
            assert_eq!(head.framing, framing, "{status} {lines}");
            assert_eq!(head.keep_alive, framing != UntilClose, "{status} {lines}");
        });
    }
}

#[test]
fn a_head_response_remembers_the_length_it_states() {
    accepted_for(ResponseTo::Head, with("Content-Length: 9"), |head| {
        assert_eq!((head.framing, head.stated_length), (ResponseFraming::None, Some(9)));
    });
}

#[test]
fn a_connection_that_may_carry_a_forbidden_body_is_not_kept() {
    for (lines, keep) in [
        ("Content-Length: 0", true),
        ("Content-Length: 5", false),
        ("Transfer-Encoding: chunked", false),
        ("Connection: close", false),
    ] {
        accepted(format!("HTTP/1.1 204 x\r\n{lines}\r\n\r\n"), |head| {
            assert_eq!((head.framing, head.keep_alive), (ResponseFraming::None, keep), "{lines}");
        });
    }
    accepted("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", |head| assert!(!head.keep_alive));
    let kept = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n";
    accepted(kept, |head| assert!(head.keep_alive));
}

#[test]
fn only_end_to_end_fields_travel_on() {
    let head = with(
        "Server: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: h2\r\n\
         Trailer: X\r\nProxy-Authenticate: x\r\nProxy-Connection: x\r\nContent-Length: 0\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX_Odd: kept",
    );
    let names: Vec<String> =
        accepted(head, |head| head.forwarded_fields().map(|(name, _)| name.to_owned()).collect());
    assert_eq!(names, ["Server", "Set-Cookie", "Set-Cookie", "X_Odd"]);
}

#[test]
fn every_prefix_of_a_good_head_is_partial() {
    let head = with("Content-Type: a/b\r\nContent-Length: 2\r\nSet-Cookie: a=b");
    for end in 0..head.len() {
        assert_eq!(outcome(&head[..end]), Ok("partial"), "{end}");
    }
    assert_eq!(refused("X"), ResponseError::StatusLine);
    assert_eq!(refused("HTTP/1.1 2x"), ResponseError::StatusLine);
}
