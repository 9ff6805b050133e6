//! Lines of JSON: what they say, and that no client can break one.

use serde_json::{Value, json};

use super::super::limits::CHUNK_BYTES;
use super::super::tests::{largest, record};
use super::super::{AccessLogFormat, format};
use super::*;

/// The line without its end, whose bytes are looked at, and what it says.
fn said(record: &AccessRecord<'_>) -> (String, Value) {
    let mut line = Vec::new();
    format::push(AccessLogFormat::Json, &mut line, &mut ClockText::new(), record);
    let bound = format::bytes_bound(AccessLogFormat::Json, record);
    assert!(line.len() <= bound && bound <= CHUNK_BYTES, "{} bytes of {bound}", line.len());
    let line = String::from_utf8(line).expect("lines are ASCII");
    let line = line.strip_suffix('\n').expect("a line ends").to_owned();
    assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line}");
    let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (line, said)
}

#[test]
fn a_line_is_one_object_with_every_field_in_the_documented_order() {
    let trace: &[u8] = b"4bf92f3577b34da6a3ce929d0e0e4736";
    let (line, _) = said(&AccessRecord { trace, request_id: b"r-1", ..record() });
    assert_eq!(
        line,
        r#"{"t":"2026-01-02T03:04:05.678Z","client":"192.0.2.7:555","method":"GET","#.to_owned()
            + r#""host":"shop.example","target":"/x?y=1","proto":"HTTP/1.1","tls":true,"#
            + r#""status":200,"in":0,"out":1024,"us":512,"connect_us":20,"key":"shop.example","#
            + r#""node":"10.0.0.1:3031","reused":true,"term":"--","id":"r-1","#
            + r#""trace":"4bf92f3577b34da6a3ce929d0e0e4736"}"#
    );
}

#[test]
fn what_is_absent_is_null_and_a_dash_is_a_dash() {
    let absent = AccessRecord { method: "", target: b"", host: "", key: "-", ..record() };
    let (line, said) = said(&absent);
    for name in ["method", "target", "host", "id"] {
        assert_eq!(said[name], Value::Null, "{name}: {line}");
    }
    assert_eq!(said["key"], "-");
    assert!(said.get("trace").is_none() && said.get("cut").is_none(), "{line}");
}

#[test]
fn hostile_bytes_forge_neither_line_nor_field() {
    let target: Vec<u8> = (0..=255).collect();
    let host = "a\",\"status\":1,\"x\":\"\r\n{\\ é \u{1f9d9} \u{85}\u{2028}\u{7f}";
    let (line, said) = said(&AccessRecord { target: &target, host, method: "G\0T", ..record() });
    assert_eq!(said["host"], host, "text comes back as it was: {line}");
    assert_eq!(said["method"], "G\0T");
    assert_eq!(said["status"], 200);
    let ascii: String = (0..=127).map(char::from).collect();
    assert_eq!(said["target"], ascii + &"\u{fffd}".repeat(128), "no byte above is UTF-8 alone");
    assert!(line.contains(r"\ud83e\uddd9") && line.contains(r"\u0085\u2028\u007f"), "{line}");
}

#[test]
fn any_bytes_make_one_line_that_says_what_of_them_is_text() {
    // A generator of its own, so that a failure comes again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Often what has a meaning here: quotes, escapes, parts of characters.
        match state >> 61 {
            0 => b'"',
            1 => b'\\',
            2 => 0xf0 | (state >> 32) as u8 & 7,
            3 => 0x80 | (state >> 32) as u8 & 0x3f,
            _ => (state >> 32) as u8,
        }
    };
    for length in 0..600 {
        let target: Vec<u8> = std::iter::repeat_with(&mut byte).take(length).collect();
        let (line, said) = said(&AccessRecord { target: &target, ..record() });
        let text = (length > 0).then(|| String::from_utf8_lossy(&target).into_owned());
        assert_eq!(said["target"], json!(text), "{line}");
    }
}

#[test]
fn long_values_are_cut_between_characters_and_the_line_says_so() {
    let target = vec![b'/'; TARGET_BYTES_MAX + 1];
    let (_, long) = said(&AccessRecord { target: &target, ..record() });
    assert_eq!(long["target"], "/".repeat(TARGET_BYTES_MAX));
    assert_eq!(long["cut"], true);

    let host = format!("{}\u{1f9d9}", "h".repeat(FIELD_BYTES_MAX - 1));
    let (_, split) = said(&AccessRecord { host: &host, ..record() });
    assert_eq!(split["host"], "h".repeat(FIELD_BYTES_MAX - 1));
    assert_eq!(split["cut"], true);

    let (_, whole) = said(&AccessRecord { target: &target[1..], ..record() });
    assert!(whole.get("cut").is_none());
}

#[test]
fn largest_record_fits_its_bound() {
    let wide = "\u{1}".repeat(2 * FIELD_BYTES_MAX);
    for byte in [0, 0x80, 0xff] {
        let target = vec![byte; 2 * TARGET_BYTES_MAX];
        let trace = wide.as_bytes();
        said(&AccessRecord {
            trace,
            tls: false,
            reused_upstream: false,
            ..largest(&wide, &target)
        });
    }
}
