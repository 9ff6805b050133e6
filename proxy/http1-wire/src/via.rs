//! `Via`, by which a gateway knows requests that it has seen before (RFC 9110 7.6.3).

use crate::Version;
use crate::connection::options;
use crate::octets::is_ows;
use crate::request::RequestHead;

/// How often a gateway called `name` passed this request on before.
pub fn via_count(head: &RequestHead<'_, '_>, name: &str) -> usize {
    values(head).flat_map(options).filter(|member| received_by(member) == name.as_bytes()).count()
}

/// Appends the value of `Via`: what the request carries, then us. Without a name of ours, nothing is
/// appended if the request carries none.
pub fn write_via(head: &RequestHead<'_, '_>, name: &str, out: &mut Vec<u8>) {
    let mut comma: &[u8] = b"";
    for value in values(head) {
        out.extend_from_slice(comma);
        out.extend_from_slice(value);
        comma = b", ";
    }
    if name.is_empty() {
        return;
    }
    out.extend_from_slice(comma);
    let version: &[u8] = match head.version {
        Version::Http10 => b"1.0 ",
        Version::Http11 => b"1.1 ",
    };
    out.extend_from_slice(version);
    out.extend_from_slice(name.as_bytes());
}

fn values<'b>(head: &RequestHead<'_, 'b>) -> impl Iterator<Item = &'b [u8]> {
    let via = head.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("via"));
    via.map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// The second word of `1.1 name (comment)`.
fn received_by(member: &[u8]) -> &[u8] {
    let mut words = member.split(|octet| is_ows(*octet)).filter(|word| !word.is_empty());
    words.nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FieldSlots, Parsed, parse_request};

    fn with<T>(fields: &str, then: impl FnOnce(&RequestHead<'_, '_>) -> T) -> T {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = FieldSlots::new();
        match parse_request(head.as_bytes(), &mut slots) {
            Ok(Parsed::Complete(head)) => then(&head),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn own_entries_are_counted_over_all_lines_and_nobody_elses() {
        let fields =
            "Via: 1.1 us, 2.0\tus (again),1.1 us2\r\nX: 1.1 us\r\nvia: HTTP/1.0 us\r\nVia:\r\n";
        assert_eq!(with(fields, |head| via_count(head, "us")), 3);
        assert_eq!(with("Via: us, 1.1\r\n", |head| via_count(head, "us")), 0);
    }

    #[test]
    fn we_stand_behind_all_others() {
        let written = |fields, name| {
            let mut out = Vec::new();
            with(fields, |head| write_via(head, name, &mut out));
            String::from_utf8(out).unwrap()
        };
        let others = "Via: 1.0 a\r\nVIA: 1.1 b, 1.1 c\r\n";
        assert_eq!(written("", "us"), "1.1 us");
        assert_eq!(written(others, "us"), "1.0 a, 1.1 b, 1.1 c, 1.1 us");
        assert_eq!(written(others, ""), "1.0 a, 1.1 b, 1.1 c");
        assert_eq!(written("", ""), "");
    }
}
