//! The end of a session whose client may still be sending what nobody wants.

use std::{io, time::Duration};

use router_core::{
    buffer::{self, Use},
    deadline::Half,
};

use super::Session;

/// Bytes still read from a client that was refused, so that it sees the answer and not a reset.
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long they are waited for.
const LINGER: Duration = Duration::from_secs(2);

impl Session {
    /// Closing while the client sends would reset the connection and take the answer with it.
    pub(super) async fn linger(&mut self) {
        if self.writer.shutdown().await.is_err() {
            return;
        }
        self.reader.watch().arm(Half::Read, LINGER);
        let mut read = 0;
        let mut buffer = buffer::take(Use::Reply);
        while read < LINGER_BYTES_MAX {
            buffer.clear();
            let result: io::Result<usize>;
            (result, buffer) = self.reader.read(buffer, usize::MAX).await;
            match result {
                Ok(received) if received > 0 => read += received,
                _ => break,
            }
        }
        buffer::give(Use::Reply, buffer);
    }
}
