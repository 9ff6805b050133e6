//! Ending a connection on which a body may still be on its way: closing over unread bytes would take
//! back what was answered.

use std::time::Duration;

use router_core::{
    buffer::{self, Use},
    deadline::Half,
    io::{ReadHalf, WriteHalf},
};

/// How long a web server may take to read the answer and to stop sending.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes of its body that are read and thrown away meanwhile.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Sends an answer of our own, then ends.
pub async fn answer(read: &mut ReadHalf, write: &mut WriteHalf, told: Vec<u8>) {
    write.watch().arm(Half::Write, LINGER);
    let (result, _) = write.write_all(told, 0).await;
    if result.is_ok() {
        see_off(read, write).await;
    }
}

/// Says that nothing more comes, and reads until the other side has seen it.
pub async fn see_off(read: &mut ReadHalf, write: &mut WriteHalf) {
    write.watch().arm(Half::Write, LINGER);
    if write.shutdown().await.is_err() {
        return;
    }
    read.watch().arm(Half::Read, LINGER);
    let mut unread = 0;
    while unread < LINGER_BYTES_MAX {
        let (result, bytes) = read.read(buffer::take(Use::Body), usize::MAX).await;
        buffer::give(Use::Body, bytes);
        match result {
            Ok(received) if received > 0 => unread += received,
            _ => break,
        }
    }
}
