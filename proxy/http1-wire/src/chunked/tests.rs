//! Chunked bodies: what is accepted, what is refused, and that cuts never matter.

use super::{ChunkError, ChunkScanner, ChunkState, LAST_CHUNK, write_chunk_size_line};
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX};
use crate::tests::Dice;

/// Payload and bytes after the body, or why it was refused. `None` = it goes on.
type Outcome = Result<Option<(Vec<u8>, usize)>, ChunkError>;

fn whole(body: &[u8]) -> Outcome {
    in_pieces(body, &[body.len()])
}

/// Feeds `body` cut at the given lengths.
fn in_pieces(body: &[u8], pieces: &[usize]) -> Outcome {
    let mut scanner = ChunkScanner::new();
    let mut payload = Vec::new();
    let mut at = 0;
    for piece in pieces {
        let end = (at + piece).min(body.len());
        while at < end {
            let step = scanner.next(&body[at..end])?;
            assert!(step.consumed > 0 && step.data.end <= step.consumed);
            payload.extend_from_slice(&body[at..end][step.data]);
            at += step.consumed;
            if step.state == ChunkState::End {
                assert_eq!(scanner.next(&body[at..]).unwrap().consumed, 0);
                return Ok(Some((payload, body.len() - at)));
            }
        }
    }
    Ok(None)
}

fn payload(body: &[u8]) -> Vec<u8> {
    whole(body).unwrap().expect("the body ends").0
}

#[test]
fn payload_is_what_stands_between_the_framing() {
    assert_eq!(payload(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), b"hello world");
    assert_eq!(payload(b"A\r\n0123456789\r\n0000\r\n\r\n"), b"0123456789");
    assert_eq!(payload(LAST_CHUNK), b"");
}

#[test]
fn one_step_takes_a_whole_small_body() {
    let step = ChunkScanner::new().next(b"5\r\nhello\r\n0\r\n\r\n").unwrap();
    assert_eq!((step.consumed, step.data, step.state), (15, 3..8, ChunkState::End));
}

#[test]
fn bytes_after_the_body_are_left_for_the_next_message() {
    let (_, rest) = whole(b"1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n").unwrap().unwrap();
    assert_eq!(rest, 16);
}

#[test]
fn a_body_without_its_last_chunk_goes_on() {
    for body in [&b""[..], b"5", b"5\r\nhel", b"5\r\nhello\r\n", b"0\r\n", b"0\r\n\r", b"0\r\nA: b"]
    {
        assert_eq!(whole(body), Ok(None), "{body:?}");
    }
}

#[test]
fn extensions_are_dropped() {
    assert_eq!(payload(b"1;a\r\nx\r\n1;a=b;c=\"d e\"\r\ny\r\n0;last\r\n\r\n"), b"xy");
}

#[test]
fn trailers_are_dropped() {
    assert_eq!(payload(b"1\r\nx\r\n0\r\nDigest: \t abc\r\nX-Empty:\r\n\r\n"), b"x");
}

#[test]
fn malformed_sizes_are_refused() {
    let bodies: [&[u8]; 15] = [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1\t;a\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b";a\r\n",
        b"1,1\r\n",
        b"1\0\r\n",
        b"\n",
        b"1\n",
        b"00000000000000001\r\n",
    ];
    for body in bodies {
        assert_eq!(whole(body), Err(ChunkError::Size), "{body:?}");
    }
}

#[test]
fn sizes_past_the_largest_length_are_refused() {
    assert_eq!(whole(b"7fffffffffffffff\r\n"), Ok(None));
    assert_eq!(whole(b"8000000000000000\r\n"), Err(ChunkError::Size));
    assert_eq!(whole(b"ffffffffffffffff\r\n"), Err(ChunkError::Size));
}

#[test]
fn lines_must_end_in_crlf() {
    for body in
        [&b"1\rx"[..], b"1;a\nx\r\n", b"0\r\n\rx", b"0\r\nA: b\n", b"0\r\n\n", b"0\r\nA: b\rC"]
    {
        assert_eq!(whole(body), Err(ChunkError::LineEnd), "{body:?}");
    }
}

#[test]
fn payload_must_end_where_its_size_says() {
    for body in [&b"1\r\nxy\r\n"[..], b"1\r\nx\n", b"1\r\nx\rx", b"2\r\nx\r\n0\r\n\r\n"] {
        assert_eq!(whole(body), Err(ChunkError::DataEnd), "{body:?}");
    }
}

#[test]
fn extensions_with_controls_or_without_bound_are_refused() {
    assert_eq!(whole(b"1;a\0\r\n"), Err(ChunkError::Extension));
    assert_eq!(whole(b"1;\xff\r\n"), Err(ChunkError::Extension));
    let long = [b"1;", "a".repeat(CHUNK_LINE_BYTES_MAX).as_bytes()].concat();
    assert_eq!(whole(&long), Err(ChunkError::ExtensionTooLong));
    let many = format!("1;{}\r\nx\r\n", "a".repeat(200)).repeat(100);
    assert_eq!(whole(many.as_bytes()), Err(ChunkError::ExtensionTooLong));
}

#[test]
fn malformed_trailers_are_refused() {
    let bodies: [&[u8]; 7] = [
        b"0\r\n: v\r\n",
        b"0\r\nA : v\r\n",
        b"0\r\n A: v\r\n",
        b"0\r\nA_B: v\r\n",
        b"0\r\nA\r\n",
        b"0\r\nA: \0\r\n",
        b"0\r\nA: v\r\n folded\r\n",
    ];
    for body in bodies {
        assert_eq!(whole(body), Err(ChunkError::Trailer), "{body:?}");
    }
}

#[test]
fn trailers_are_bounded_in_number_and_size() {
    let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(TRAILER_FIELDS_MAX));
    assert!(matches!(whole(many.as_bytes()), Ok(Some(_))));
    let more = format!("0\r\n{}\r\n", "A: b\r\n".repeat(TRAILER_FIELDS_MAX + 1));
    assert_eq!(whole(more.as_bytes()), Err(ChunkError::TrailerTooLarge));
    let large = format!("0\r\nA: {}\r\n\r\n", "b".repeat(TRAILER_BYTES_MAX));
    assert_eq!(whole(large.as_bytes()), Err(ChunkError::TrailerTooLarge));
}

/// Goal: H10, any split gives the same result. Method: good and damaged bodies from a seeded
/// generator, each whole, byte by byte, and cut at random.
#[test]
fn cutting_the_input_differently_changes_nothing() {
    let mut dice = Dice::new(0x5eed_c0de);
    for _ in 0..3000 {
        let mut body = Vec::new();
        for _ in 0..dice.below(4) {
            let bytes = 1 + dice.below(40);
            write_chunk_size_line(bytes as u64, &mut body);
            if dice.below(4) == 0 {
                body.truncate(body.len() - 2);
                body.extend_from_slice(b";x=\"y\"\r\n");
            }
            body.extend((0..bytes).map(|_| dice.octet()));
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(if dice.below(2) == 0 { LAST_CHUNK } else { b"0\r\nA: b\r\n\r\n" });
        body.extend_from_slice(b"next");
        if dice.below(2) == 0 {
            let at = dice.below(body.len());
            body[at] = dice.framing_octet();
        }
        let expected = whole(&body);
        assert_eq!(in_pieces(&body, &vec![1; body.len()]), expected, "{body:?}");
        for _ in 0..4 {
            let pieces: Vec<usize> = (0..body.len()).map(|_| 1 + dice.below(9)).collect();
            assert_eq!(in_pieces(&body, &pieces), expected, "{body:?} {pieces:?}");
        }
    }
}

#[test]
fn a_written_size_line_is_read_back() {
    for bytes in [1u64, 9, 15, 16, 255, 4096, u64::from(u32::MAX), i64::MAX as u64] {
        let mut line = Vec::new();
        write_chunk_size_line(bytes, &mut line);
        assert_eq!(line, format!("{bytes:x}\r\n").into_bytes());
        assert_eq!(whole(&line), Ok(None));
    }
}
