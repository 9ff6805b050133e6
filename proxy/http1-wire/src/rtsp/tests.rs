//! What an RTSP head says, and what is refused.

use super::*;

fn parsed(bytes: &[u8], then: impl FnOnce(Result<Parsed<RtspHead<'_, '_>>, RtspError>)) {
    let mut slots = RtspSlots::new();
    then(parse_rtsp(bytes, &mut slots));
}

fn refusal(bytes: &[u8]) -> RtspError {
    let mut slots = RtspSlots::new();
    parse_rtsp(bytes, &mut slots).expect_err("refused")
}

const DESCRIBE: &[u8] = b"DESCRIBE rtsp://Cam.example:8554/live/1?x=1?2 RTSP/1.0\r\n\
    CSeq: 2\r\nAccept: application/sdp\r\n\r\n$\x00";

#[test]
fn a_head_says_whose_it_is_and_where_it_ends() {
    parsed(DESCRIBE, |outcome| {
        let Ok(Parsed::Complete(head)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((head.method, head.cseq, head.body_bytes), ("DESCRIBE", "2", 0));
        assert_eq!(head.target.authority, Some(&b"Cam.example:8554"[..]));
        assert_eq!((head.target.path, head.target.query), (&b"/live/1"[..], Some(&b"x=1?2"[..])));
        assert_eq!((head.head_bytes, head.fields.len()), (DESCRIBE.len() - 2, 2));
    });
}

#[test]
fn a_body_length_and_a_target_without_a_path_are_read() {
    let announce =
        b"ANNOUNCE rtsps://[2001:db8::1] RTSP/1.0\r\ncseq: 3\r\ncontent-length: 5\r\n\r\n";
    parsed(announce, |outcome| {
        let Ok(Parsed::Complete(head)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(head.body_bytes, 5);
        assert_eq!((head.target.path, head.target.query), (&b"/"[..], None));
    });
    parsed(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", |outcome| {
        let Ok(Parsed::Complete(head)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((head.target.authority, head.target.path), (None, &b"*"[..]));
    });
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    let with = |line: &str, fields: &str| refusal(format!("{line}\r\n{fields}\r\n").as_bytes());
    let options = |fields: &str| with("OPTIONS rtsp://a/ RTSP/1.0", fields);
    for line in
        ["OPTIONS  rtsp://a/ RTSP/1.0", "OPTIONS rtsp://a/ x RTSP/1.0", "O(S rtsp://a/ RTSP/1.0"]
    {
        assert_eq!(with(line, "CSeq: 1\r\n"), RtspError::Line, "{line}");
    }
    assert_eq!(with("OPTIONS rtsp://a/ RTSP/2.0", "CSeq: 1\r\n"), RtspError::Version);
    for (target, error) in [
        ("/path", TargetError::Form),
        ("http://a/", TargetError::Form),
        ("rtspu://a/", TargetError::Form),
        ("rtsp://", TargetError::Authority),
        ("rtsp://user:secret@a/", TargetError::Authority),
        ("rtsp://a/\u{fc}", TargetError::Octet),
        ("rtsp://a/#f", TargetError::Octet),
    ] {
        let line = format!("DESCRIBE {target} RTSP/1.0");
        assert_eq!(with(&line, "CSeq: 1\r\n"), error.into(), "{target}");
    }
    for fields in
        ["", "CSeq: \r\n", "CSeq: +1\r\n", "CSeq: 12345678901\r\n", "CSeq: 1\r\ncseq: 1\r\n"]
    {
        assert_eq!(options(fields), RtspError::Cseq, "{fields:?}");
    }
    let twice = "CSeq: 1\r\nContent-Length: 3\r\nContent-Length: 3\r\n";
    assert_eq!(options(twice), FramingError::LengthRepeated.into());
    let chunked = "CSeq: 1\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(options(chunked), FramingError::CodingUnknown.into());
    assert_eq!(options("CSeq: 1\r\n folded\r\n"), HeadError::ObsFold.into());
    assert_eq!(options("CSeq : 1\r\n"), HeadError::SpaceBeforeColon.into());
    assert_eq!(options("CSeq: 1\r\nX: a\0b\r\n"), HeadError::FieldValue.into());
    assert_eq!(refusal(b"OPTIONS * RTSP/1.0\nCSeq: 1\n\n"), HeadError::BareLineBreak.into());
    let many: String = (0..FIELDS_MAX).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(options(&format!("CSeq: 1\r\n{many}")), HeadError::TooManyFields.into());
}

#[test]
fn the_first_line_tells_rtsp_from_the_rest_as_soon_as_it_can() {
    for (bytes, start) in [
        ("OPTIONS rtsp://a/ R", RtspStart::Partial),
        ("OPTIONS rtsp://a/ RTSP/", RtspStart::Present),
        ("OPTIONS rtsp://a/ RTSP/1.0\r\n", RtspStart::Present),
        ("OPTIONS rtsp://a/ RT\r\n", RtspStart::Absent),
        ("GET / HTTP/1.1\r\nX: a b RTSP/1.0\r\n", RtspStart::Absent),
        ("GET / HT", RtspStart::Absent),
        ("", RtspStart::Absent),
    ] {
        assert_eq!(rtsp_start(bytes.as_bytes()), start, "{bytes:?}");
    }
}

#[test]
fn the_number_to_answer_with_is_found_in_a_malformed_head() {
    assert_eq!(rtsp_cseq(b"X rtsp://a RTSP/9\r\nA: 1\r\ncseq:  42 \r\n\r\n"), Some("42"));
    assert_eq!(rtsp_cseq(b"CSeq: 1\r\n\r\n"), None, "the first line is no field");
    assert_eq!(rtsp_cseq(b"X\r\nCSeq: 1\x002\r\n\r\n"), None);
    assert_eq!(rtsp_cseq(b"X\r\nCS\r\n"), None);
}
