//! Every bound of the reader, with the relations between them checked at compile time.

/// Longest ClientHello, its head of four bytes included. Real ones have up to about 2 KiB, with
/// post-quantum key shares.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// Most bytes a client may spread its ClientHello over: record heads come on top, and a record of one
/// byte has five of them. A real one of a few hundred bytes fits even so.
pub const RECEIVED_BYTES_MAX: usize = 32 * 1024;
/// Longest payload of one record (5.1).
pub const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Longest server name: the longest routing key.
pub const NAME_BYTES_MAX: usize = 255;

const _: () = {
    assert!(HELLO_BYTES_MAX <= RECORD_BYTES_MAX); // one record can hold it
    assert!(HELLO_BYTES_MAX + 5 <= RECEIVED_BYTES_MAX);
};
