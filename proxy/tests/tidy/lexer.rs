//! Enough of Rust's lexical grammar to tell code from comments and literals.

/// `text` with comments and the contents of string and character literals replaced by blanks.
/// Lines and byte offsets stay the same.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !is_word(bytes, at.wrapping_sub(1)) => match raw_end(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            b'\'' => match char_end(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("blanks replace whole literals")
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |step| at + step)
}

fn block_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut here) = (0, at);
    while here < bytes.len() {
        if bytes[here..].starts_with(b"/*") {
            (depth, here) = (depth + 1, here + 2);
        } else if bytes[here..].starts_with(b"*/") {
            (depth, here) = (depth - 1, here + 2);
            if depth == 0 {
                break;
            }
        } else {
            here += 1;
        }
    }
    here.min(bytes.len())
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// End of `r"…"` or `r#"…"#`; `None` if this `r` begins neither.
fn raw_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = at + 2 + hashes;
    let step = bytes[body..].windows(close.len()).position(|window| window == close);
    Some(step.map_or(bytes.len(), |step| body + step + close.len()))
}

/// End of a character literal; `None` if the quote begins a lifetime.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'\\' => {
            let step = bytes[at + 3..].iter().position(|byte| *byte == b'\'')?;
            Some(at + 3 + step + 1)
        }
        byte => {
            let width = match byte {
                0..=0x7f => 1,
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + width + 2)
        }
    }
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_kept() {
    let text =
        "let a = \"x\\\"y\"; // c\nfn f<'a>(b: &'a str) { '\\'' /* d /* e */ */; r#\"g\"h\"# }";
    let code = code_only(text);
    assert_eq!(code.len(), text.len());
    for gone in ["x", "y", "// c", "d /*", "g\"h"] {
        assert!(!code.contains(gone), "{gone:?} in {code:?}");
    }
    for kept in ["let a =", "fn f<'a>(b: &'a str) {", "; "] {
        assert!(code.contains(kept), "{kept:?} not in {code:?}");
    }
}
