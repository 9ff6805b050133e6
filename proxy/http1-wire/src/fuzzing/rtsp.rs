//! What must hold of every RTSP head.

use crate::limits::{FIELDS_MAX, HOST_BYTES_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::{Parsed, RtspSlots, RtspStart, parse_request, parse_rtsp, rtsp_cseq, rtsp_start};

/// An RTSP head means the same however it is cut, is never an HTTP head too, keeps every bound, and
/// is the head that its own facts make.
pub fn rtsp_request(bytes: &[u8]) {
    super::check_cuts(bytes, |bytes| {
        let mut slots = RtspSlots::new();
        super::verdict(parse_rtsp(bytes, &mut slots), |head| head.head_bytes)
    });
    let start = rtsp_start(bytes);
    let mut slots = RtspSlots::new();
    let Ok(Parsed::Complete(head)) = parse_rtsp(bytes, &mut slots) else { return };
    assert_eq!(start, RtspStart::Present, "what is parsed was recognised");
    let mut http = crate::FieldSlots::new();
    assert!(parse_request(bytes, &mut http).is_err(), "nothing is both");
    assert!(head.method.len() <= METHOD_BYTES_MAX && head.fields.len() <= FIELDS_MAX);
    assert!(head.target.raw.len() <= TARGET_BYTES_MAX);
    assert_eq!(rtsp_cseq(bytes), Some(head.cseq), "an answer repeats its number");
    match head.target.authority {
        None => assert_eq!(head.target.raw, b"*"),
        Some(authority) => {
            assert!((1..=HOST_BYTES_MAX).contains(&authority.len()) && !authority.contains(&b'@'));
            assert!(head.target.path.starts_with(b"/"));
        }
    }
    let mut again = format!("{} ", head.method).into_bytes();
    again.extend_from_slice(head.target.raw);
    again.extend_from_slice(b" RTSP/1.0\r\n");
    for (name, value) in head.fields.iter() {
        again.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    again.extend_from_slice(b"\r\n");
    let mut slots = RtspSlots::new();
    let Ok(Parsed::Complete(next)) = parse_rtsp(&again, &mut slots) else { panic!("{again:?}") };
    assert_eq!((next.method, next.target, next.cseq), (head.method, head.target, head.cseq));
    assert_eq!(next.body_bytes, head.body_bytes);
    assert!(next.fields.iter().eq(head.fields.iter()), "fields read back");
}
