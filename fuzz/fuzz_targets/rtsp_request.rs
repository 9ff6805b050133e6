//! libFuzzer target: an RTSP head is read the same however it is cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1_wire::fuzzing::rtsp_request(bytes));
