//! Read and write buffers of a worker, kept for reuse.
//!
//! A buffer is an owned `Vec<u8>`, since completion I/O takes ownership while an operation runs. A
//! connection that waits for a request owns the smallest one, which holds most requests whole; larger
//! ones are taken for what is under way and given back after it. The pool is per thread, last in first
//! out, so that the buffers in use stay in the core's cache.

use std::cell::RefCell;

/// Capacity of a buffer that a head is read into; heads that are longer grow it.
pub const HEAD_BYTES: usize = 1024;
/// Capacity of a buffer that a response head, and with it the start of a body, is read into.
pub const REPLY_BYTES: usize = 16 * 1024;
/// Capacity of a buffer that a body is pumped through.
pub const BODY_BYTES: usize = 64 * 1024;
/// Capacity of a buffer that holds as much, and a little more, in TLS records.
pub const RECORDS_BYTES: usize = BODY_BYTES + 4 * 1024;

/// Buffers of each size kept for reuse; more are freed.
const KEPT_MAX: [usize; 4] = [2048, 256, 32, 32];
/// A buffer that grew past its size by this factor is freed rather than kept.
const GROWTH_MAX: usize = 2;

thread_local! {
    static POOL: RefCell<[Vec<Vec<u8>>; 4]> =
        const { RefCell::new([Vec::new(), Vec::new(), Vec::new(), Vec::new()]) };
}

/// What a buffer is for, which decides its size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// A request head: [`HEAD_BYTES`].
    Head = 0,
    /// A response head and the start of its body: [`REPLY_BYTES`].
    Reply = 1,
    /// A stretch of a body: [`BODY_BYTES`].
    Body = 2,
    /// A stretch of a body in TLS: [`RECORDS_BYTES`].
    Records = 3,
}

impl Use {
    const fn bytes(self) -> usize {
        match self {
            Self::Head => HEAD_BYTES,
            Self::Reply => REPLY_BYTES,
            Self::Body => BODY_BYTES,
            Self::Records => RECORDS_BYTES,
        }
    }
}

/// Takes an empty buffer with at least the capacity of its use.
pub fn take(what: Use) -> Vec<u8> {
    POOL.with_borrow_mut(|pool| pool[what as usize].pop())
        .unwrap_or_else(|| Vec::with_capacity(what.bytes()))
}

/// Gives a buffer back. Its bytes are gone.
pub fn give(what: Use, mut buffer: Vec<u8>) {
    let bytes = what.bytes();
    if buffer.capacity() < bytes || buffer.capacity() > bytes * GROWTH_MAX {
        return;
    }
    buffer.clear();
    POOL.with_borrow_mut(|pool| {
        let kept = &mut pool[what as usize];
        if kept.len() < KEPT_MAX[what as usize] {
            kept.push(buffer);
        }
    });
}

/// Frees what is kept for reuse.
pub fn free_spare() {
    POOL.with_borrow_mut(|pool| pool.iter_mut().for_each(|kept| *kept = Vec::new()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_buffer_comes_back_empty() {
        let mut buffer = take(Use::Head);
        let address = buffer.as_ptr();
        buffer.extend_from_slice(b"secret of another tenant");
        give(Use::Head, buffer);
        let again = take(Use::Head);
        assert!(again.is_empty() && again.as_ptr() == address);
    }

    #[test]
    fn nothing_is_kept_when_memory_is_wanted_back() {
        give(Use::Body, Vec::with_capacity(BODY_BYTES));
        free_spare();
        assert!(POOL.with_borrow(|pool| pool.iter().all(|kept| kept.capacity() == 0)));
    }

    #[test]
    fn outgrown_buffer_is_not_kept() {
        give(Use::Head, Vec::with_capacity(HEAD_BYTES * 16));
        assert!(take(Use::Head).capacity() <= HEAD_BYTES * GROWTH_MAX);
    }
}
