//! The responses in all that a client received, taken apart by a strict reader of its own.

use crate::text::escaped;

/// Field by which the origins of this test sign their answers.
pub const ORIGIN_FIELD: &str = "x-origin";

/// One final response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Whether one of our origins gave it, not the router or a peer in between.
    pub is_origins: bool,
    pub body: Vec<u8>,
}

/// Takes `received` apart; one method for each answer, `GET` beyond the last.
///
/// # Errors
/// What is wrong with the bytes, such as an incomplete last response; the answers before it are
/// returned in any case.
pub fn take_apart(mut received: &[u8], methods: &[&str]) -> (Vec<Answer>, Result<(), String>) {
    let mut answers = Vec::new();
    while !received.is_empty() {
        let method = methods.get(answers.len()).copied().unwrap_or("GET");
        match take_one(received, method) {
            Ok((Some(answer), rest)) => {
                answers.push(answer);
                received = rest;
            }
            Ok((None, rest)) => received = rest,
            Err(why) => return (answers, Err(format!("{why}: {}", escaped(received)))),
        }
    }
    (answers, Ok(()))
}

/// One response; `None` for an interim one.
fn take_one<'b>(received: &'b [u8], method: &str) -> Result<(Option<Answer>, &'b [u8]), String> {
    let end = find(received, b"\r\n\r\n").ok_or("a head without an end")?;
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let rest = &received[end + 4..];
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let status = start.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status: u16 = status.and_then(|text| text.parse().ok()).ok_or("no status line")?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
        let sound = line.chars().all(|c| c == '\t' || !c.is_ascii_control());
        if !sound || name.is_empty() || name.contains(' ') {
            return Err(format!("the field {line:?}"));
        }
        fields.push((name.to_ascii_lowercase(), value.trim()));
    }
    if status < 200 {
        return Ok((None, rest));
    }
    let values = |wanted: &str| -> Vec<&str> {
        fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect()
    };
    let is_origins = !values(ORIGIN_FIELD).is_empty();
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    if method == "HEAD" || matches!(status, 204 | 304) {
        return Ok((Some(Answer { status, is_origins, body: Vec::new() }), rest));
    }
    let (body, rest) = match (lengths.as_slice(), codings.as_slice()) {
        ([length], []) => {
            let length = length.parse().map_err(|_| "a malformed length")?;
            let (body, rest) = rest.split_at_checked(length).ok_or("a body cut short")?;
            (body.to_vec(), rest)
        }
        ([], ["chunked"]) => dechunk(rest)?,
        ([], []) if values("connection") == ["close"] => (rest.to_vec(), &rest[rest.len()..]),
        _ => return Err("ambiguous framing".to_owned()),
    };
    Ok((Some(Answer { status, is_origins, body }), rest))
}

/// A chunked body without extensions and trailers, and what follows it.
///
/// # Errors
/// Anything else, or less.
pub fn dechunk(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n").ok_or("chunks cut short")?;
        let digits = std::str::from_utf8(&rest[..end]).map_err(|_| "a malformed chunk size")?;
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("the chunk size {digits:?}"));
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| "a huge chunk")?;
        if size == 0 {
            return past_trailers(&rest[end + 2..]).map(|rest| (body, rest));
        }
        let (data, after) = rest[end + 2..].split_at_checked(size).ok_or("chunks cut short")?;
        body.extend_from_slice(data);
        rest = match after.strip_prefix(b"\r\n") {
            Some(rest) => rest,
            None if b"\r\n".starts_with(after) => return Err("chunks cut short".to_owned()),
            None => return Err("a chunk that is longer than its size".to_owned()),
        };
    }
}

/// What follows a trailer section, of which no field may be one that frames or routes.
fn past_trailers(mut rest: &[u8]) -> Result<&[u8], String> {
    loop {
        let end = find(rest, b"\r\n").ok_or("chunks cut short")?;
        let line = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        rest = &rest[end + 2..];
        if line.is_empty() {
            return Ok(rest);
        }
        let name = line.split_once(':').map_or("", |(name, _)| name);
        let is_token = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        let is_framing = ["content-length", "transfer-encoding", "host"].contains(&name);
        if name.is_empty() || !name.bytes().all(is_token) || is_framing {
            return Err(format!("the trailer {line:?}"));
        }
    }
}

/// Where `needle` starts in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}
