//! The text of one access log line as a JSON object.
//!
//! Fields and their order are those of the other format; what is absent is `null`. A line is ASCII
//! whatever a client sent: characters beyond it and controls are written `\uHHHH`, bytes that are no
//! UTF-8 as the replacement character. So every line is one JSON value, and shown on a terminal it
//! moves no cursor.

use super::AccessRecord;
use super::format::{ClockText, push_number};
use super::limits::{FIELD_BYTES_MAX, TARGET_BYTES_MAX};

/// Bytes one byte of text can become: a control, or a byte that is no UTF-8.
pub(super) const ESCAPED_BYTES: usize = 6;

/// Appends the record's line.
pub(super) fn push_record(line: &mut Vec<u8>, clock: &mut ClockText, record: &AccessRecord<'_>) {
    let mut object = Object { line, cut: false };
    object.line.extend_from_slice(b"{\"t\":\"");
    clock.push(object.line, record.at);
    object.text(b"\",\"client\":", record.client.as_bytes());
    object.text(b",\"method\":", record.method.as_bytes());
    object.text(b",\"host\":", record.host.as_bytes());
    object.text_within(b",\"target\":", record.target, TARGET_BYTES_MAX);
    object.text(b",\"proto\":", record.version.as_bytes());
    object.truth(b",\"tls\":", record.tls);
    push_number(object.line, b",\"status\":", u64::from(record.status));
    push_number(object.line, b",\"in\":", record.bytes_in);
    push_number(object.line, b",\"out\":", record.bytes_out);
    push_number(object.line, b",\"us\":", record.duration_us);
    push_number(object.line, b",\"connect_us\":", record.connect_us);
    object.text(b",\"key\":", record.key.as_bytes());
    object.text(b",\"node\":", record.node.as_bytes());
    object.truth(b",\"reused\":", record.reused_upstream);
    object.text(b",\"term\":", &record.termination.letters());
    object.text(b",\"id\":", record.request_id);
    if !record.trace.is_empty() {
        object.text(b",\"trace\":", record.trace);
    }
    if object.cut {
        // Only here, because any mark in a value could have been sent by a client.
        object.truth(b",\"cut\":", true);
    }
    line.extend_from_slice(b"}\n");
}

struct Object<'l> {
    line: &'l mut Vec<u8>,
    /// A value was longer than is logged.
    cut: bool,
}

impl Object<'_> {
    fn truth(&mut self, name: &[u8], value: bool) {
        self.line.extend_from_slice(name);
        self.line.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn text(&mut self, name: &[u8], value: &[u8]) {
        self.text_within(name, value, FIELD_BYTES_MAX);
    }

    fn text_within(&mut self, name: &[u8], value: &[u8], bytes_max: usize) {
        self.line.extend_from_slice(name);
        if value.is_empty() {
            self.line.extend_from_slice(b"null");
            return;
        }
        let shown = start_of(value, bytes_max);
        self.cut |= shown.len() < value.len();
        self.line.push(b'"');
        for chunk in shown.utf8_chunks() {
            push_text(self.line, chunk.valid());
            if !chunk.invalid().is_empty() {
                push_unit(self.line, REPLACEMENT);
            }
        }
        self.line.push(b'"');
    }
}

/// At most so many bytes, and no part of a character.
fn start_of(value: &[u8], bytes_max: usize) -> &[u8] {
    if value.len() <= bytes_max {
        return value;
    }
    let continues = |at: &usize| value.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let back = (0..CHARACTER_BYTES_MAX).find(|back| !continues(&(bytes_max - back)));
    // Bytes that go on for longer than any character are none.
    &value[..bytes_max - back.unwrap_or(0)]
}

fn push_text(line: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]) {
        let (plain, tail) = rest.split_at(at);
        line.extend_from_slice(plain.as_bytes());
        let mut chars = tail.chars();
        match chars.next() {
            Some('"') => line.extend_from_slice(b"\\\""),
            Some('\\') => line.extend_from_slice(b"\\\\"),
            Some(odd) => {
                odd.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_unit(line, *unit));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    line.extend_from_slice(rest.as_bytes());
}

fn push_unit(line: &mut Vec<u8>, unit: u16) {
    let digit = |shift: u16| b"0123456789abcdef"[usize::from(unit >> shift & 15)];
    line.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

const fn plain() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
}

static PLAIN: [bool; 256] = plain();

/// Stands for what is no UTF-8.
const REPLACEMENT: u16 = 0xfffd;
/// Longest character of UTF-8.
const CHARACTER_BYTES_MAX: usize = 4;

#[cfg(test)]
mod tests;
