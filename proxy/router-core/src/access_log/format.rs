//! The text of one access log line, unless it is [`json`].
//!
//! `name=value` pairs in a fixed order, one line per record. A bare value holds no space, quote,
//! backslash or control; the target and the host stand in quotes because they may hold spaces. Any
//! byte outside printable ASCII, and the ones with a meaning here, are written `\xHH`.

use super::limits::{FIELD_BYTES_MAX, FIXED_BYTES_MAX, TARGET_BYTES_MAX};
use super::{AccessLogFormat, AccessRecord, json};

/// Upper bound of the bytes [`push`] appends for this record.
pub(super) fn bytes_bound(format: AccessLogFormat, record: &AccessRecord<'_>) -> usize {
    let text = [
        record.client.len(),
        record.method.len(),
        record.host.len(),
        record.version.len(),
        record.key.len(),
        record.node.len(),
        record.request_id.len(),
        record.trace.len(),
    ];
    let text: usize = text.iter().map(|len| (*len).min(FIELD_BYTES_MAX)).sum();
    let escaped = match format {
        AccessLogFormat::Logfmt => ESCAPED_BYTES,
        AccessLogFormat::Json => json::ESCAPED_BYTES,
    };
    (text + record.target.len().min(TARGET_BYTES_MAX)) * escaped + FIXED_BYTES_MAX
}

/// Appends the record's line.
pub(super) fn push(
    format: AccessLogFormat,
    line: &mut Vec<u8>,
    clock: &mut ClockText,
    record: &AccessRecord<'_>,
) {
    match format {
        AccessLogFormat::Logfmt => push_record(line, clock, record),
        AccessLogFormat::Json => json::push_record(line, clock, record),
    }
}

fn push_record(line: &mut Vec<u8>, clock: &mut ClockText, record: &AccessRecord<'_>) {
    line.extend_from_slice(b"t=");
    clock.push(line, record.at);
    push_bare(line, b" client=", record.client.as_bytes());
    push_bare(line, b" method=", record.method.as_bytes());
    push_quoted(line, b" host=", record.host.as_bytes(), FIELD_BYTES_MAX);
    push_quoted(line, b" target=", record.target, TARGET_BYTES_MAX);
    push_bare(line, b" proto=", record.version.as_bytes());
    push_number(line, b" tls=", u64::from(record.tls));
    push_number(line, b" status=", u64::from(record.status));
    push_number(line, b" in=", record.bytes_in);
    push_number(line, b" out=", record.bytes_out);
    push_number(line, b" us=", record.duration_us);
    push_number(line, b" connect_us=", record.connect_us);
    push_bare(line, b" key=", record.key.as_bytes());
    push_bare(line, b" node=", record.node.as_bytes());
    push_number(line, b" reused=", u64::from(record.reused_upstream));
    line.extend_from_slice(b" term=");
    line.extend_from_slice(&record.termination.letters());
    push_bare(line, b" id=", record.request_id);
    if !record.trace.is_empty() {
        push_bare(line, b" trace=", record.trace);
    }
    line.push(b'\n');
}

/// Renders Unix milliseconds as `2026-01-02T03:04:05.678Z`, working out a date once a second.
#[derive(Debug)]
pub(super) struct ClockText {
    second: u64,
    /// `2026-01-02T03:04:05.` of that second.
    prefix: [u8; 20],
}

impl ClockText {
    pub(super) fn new() -> Self {
        Self { second: 0, prefix: *b"1970-01-01T00:00:00." }
    }

    pub(super) fn push(&mut self, line: &mut Vec<u8>, unix_ms: u64) {
        let (second, ms) = (unix_ms / 1000, (unix_ms % 1000) as u32);
        if second != self.second {
            self.second = second;
            self.prefix = date_prefix(second);
        }
        line.extend_from_slice(&self.prefix);
        line.extend_from_slice(&[digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
    }
}

/// A second of Unix time as people and programs read it: `2026-01-31T23:59:59Z`.
#[must_use]
pub fn utc_text(unix: u64) -> String {
    let prefix = date_prefix(unix);
    let second = prefix.strip_suffix(b".").unwrap_or(&prefix);
    String::from_utf8_lossy(second).into_owned() + "Z"
}

/// The civil date by counting days in 400-year eras that begin on 1 March, where leap days end a
/// year and need no case of their own.
fn date_prefix(unix: u64) -> [u8; 20] {
    let (days, second) = (unix / 86_400, (unix % 86_400) as u32);
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u32;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u32;
    let year = (era * 400 + year_of_era + u64::from(month <= 2)).min(9999) as u32;

    let mut text = *b"0000-00-00T00:00:00.";
    let mut put = |at: usize, value: u32| {
        text[at] = digit(value / 10);
        text[at + 1] = digit(value);
    };
    put(0, year / 100);
    put(2, year % 100);
    put(5, month);
    put(8, day);
    put(11, second / 3600);
    put(14, second / 60 % 60);
    put(17, second % 60);
    text
}

fn digit(value: u32) -> u8 {
    b'0' + (value % 10) as u8
}

pub(super) fn push_number(line: &mut Vec<u8>, name: &[u8], value: u64) {
    line.extend_from_slice(name);
    line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A value without quotes. Absence is `-`; a value that is a lone dash is escaped, so that nobody
/// can feign absence.
fn push_bare(line: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    line.extend_from_slice(name);
    match value {
        b"" => line.push(b'-'),
        b"-" => line.extend_from_slice(b"\\x2d"),
        value => push_escaped(line, value, FIELD_BYTES_MAX, &BARE),
    }
}

fn push_quoted(line: &mut Vec<u8>, name: &[u8], value: &[u8], bytes_max: usize) {
    line.extend_from_slice(name);
    line.push(b'"');
    push_escaped(line, value, bytes_max, &QUOTED);
    line.push(b'"');
}

fn push_escaped(line: &mut Vec<u8>, value: &[u8], bytes_max: usize, plain: &[bool; 256]) {
    let shown = &value[..value.len().min(bytes_max)];
    let mut rest = shown;
    while let Some(end) = rest.iter().position(|byte| !plain[usize::from(*byte)]) {
        let (run, tail) = rest.split_at(end);
        line.extend_from_slice(run);
        let byte = tail[0];
        line.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte & 15)]);
        rest = &tail[1..];
    }
    line.extend_from_slice(rest);
    if shown.len() < value.len() {
        line.extend_from_slice(b"\\...");
    }
}

fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

const fn plain(space: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table[0x20] = space;
    table
}

/// An escaped byte is written as `\xHH`.
const ESCAPED_BYTES: usize = 4;

static BARE: [bool; 256] = plain(false);
static QUOTED: [bool; 256] = plain(true);

/// Days from 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_PER_ERA: u64 = 146_097;
