//! libFuzzer target: a ClientHello is read the same however it is cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tls_wire::fuzzing::client_hello(bytes));
