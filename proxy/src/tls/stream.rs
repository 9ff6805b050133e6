//! A TLS session pumped over completion I/O.
//!
//! rustls is driven as the state machine it is: ciphertext is read into a pooled buffer, fed in, and
//! plaintext copied out; plaintext is fed in and all records of a turn leave in one send. Nothing is
//! held while a connection is idle but the session itself and the smallest read buffer.

use std::{
    cell::RefCell,
    io::{self, BufRead, Write},
    rc::Rc,
};

use router_core::{
    buffer::{self, BODY_BYTES, HEAD_BYTES, RECORDS_BYTES, REPLY_BYTES, Use},
    deadline::Watch,
    io::{ReadHalf, WriteHalf},
};
use rustls::{Error, ServerConnection};

/// One session, shared by its two halves.
pub type Session = Rc<RefCell<ServerConnection>>;

/// Plaintext from the client.
pub struct TlsReadHalf {
    read: ReadHalf,
    session: Session,
    /// Received and not yet fed: a session holds little plaintext, so it is fed as it is emptied.
    ciphertext: Option<Ciphertext>,
    /// Size of the next read: small while idle, large once the client fills it.
    size: Use,
}

/// A buffer of received ciphertext, fed up to `fed`.
struct Ciphertext {
    bytes: Vec<u8>,
    fed: usize,
    size: Use,
}

/// Plaintext to the client.
pub struct TlsWriteHalf {
    write: WriteHalf,
    session: Session,
}

/// Puts an established session between the halves of a socket and its user.
pub fn wrap(
    read: ReadHalf,
    write: WriteHalf,
    session: ServerConnection,
) -> (TlsReadHalf, TlsWriteHalf) {
    let session = Rc::new(RefCell::new(session));
    (
        TlsReadHalf { read, session: session.clone(), ciphertext: None, size: Use::Head },
        TlsWriteHalf { write, session },
    )
}

impl TlsReadHalf {
    /// Appends up to `most` bytes of plaintext; `Ok(0)` as in [`ReadHalf::read`].
    pub async fn read(&mut self, mut buffer: Vec<u8>, most: usize) -> (io::Result<usize>, Vec<u8>) {
        let room = (buffer.capacity() - buffer.len()).min(most);
        loop {
            match self.take_plaintext(&mut buffer, room) {
                Ok(Some(bytes)) => return (Ok(bytes), buffer),
                Ok(None) => {}
                Err(error) => return (Err(error), buffer),
            }
            match self.receive().await {
                Ok(0) => return (Ok(0), buffer),
                Ok(_) => {}
                Err(error) => return (Err(error), buffer),
            }
        }
    }

    /// Waits without a buffer until a read has something to say, as [`ReadHalf::readable`] does.
    ///
    /// # Errors
    /// The connection is broken.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.ciphertext.is_some() || holds_plaintext(&self.session) {
            return Ok(());
        }
        self.read.readable().await
    }

    /// Decrypts what was received until `room` is full: `Some(0)` at the end of the session, `None` if
    /// more ciphertext is needed first.
    fn take_plaintext(&mut self, buffer: &mut Vec<u8>, room: usize) -> io::Result<Option<usize>> {
        let mut session = self.session.borrow_mut();
        let mut copied = 0;
        loop {
            match copy_plaintext(&mut session, buffer, room - copied)? {
                Copied::End => return Ok(Some(copied)),
                Copied::Bytes(bytes) => copied += bytes,
            }
            let Some(pending) = self.ciphertext.as_mut().filter(|_| copied < room) else {
                return Ok((copied > 0).then_some(copied));
            };
            let mut rest = &pending.bytes[pending.fed..];
            let before = rest.len();
            feed_once(&mut session, &mut rest)?;
            pending.fed += before - rest.len();
            if rest.is_empty() {
                let Ciphertext { bytes, size, .. } = self.ciphertext.take().expect("just fed");
                buffer::give(size, bytes);
            }
        }
    }

    /// Reads ciphertext once.
    async fn receive(&mut self) -> io::Result<usize> {
        let size = self.size;
        let (result, bytes) = self.read.read(buffer::take(size), usize::MAX).await;
        match result {
            Ok(received) if received > 0 => {
                self.size = if received == bytes.capacity() { Use::Body } else { Use::Head };
                self.ciphertext = Some(Ciphertext { bytes, fed: 0, size });
                Ok(received)
            }
            ended => {
                buffer::give(size, bytes);
                ended
            }
        }
    }

    /// The deadlines of this connection.
    pub fn watch(&self) -> &Watch {
        self.read.watch()
    }

    /// The deadlines, for one who sets them while this half is reading.
    pub fn watch_handle(&self) -> Rc<Watch> {
        self.read.watch_handle()
    }

    /// Whether the connection below has ended and nothing is left to read from it.
    pub fn is_finished(&self) -> bool {
        self.read.is_finished()
    }
}

/// Whether a read of the session is answered at once: by bytes, by its end or by its failure.
fn holds_plaintext(session: &Session) -> bool {
    match session.borrow_mut().reader().fill_buf() {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// What a session had to give.
enum Copied {
    /// This many bytes; zero if it needs ciphertext.
    Bytes(usize),
    /// The client ended the session.
    End,
}

fn copy_plaintext(
    session: &mut ServerConnection,
    buffer: &mut Vec<u8>,
    room: usize,
) -> io::Result<Copied> {
    let mut copied = 0;
    while copied < room {
        let mut reader = session.reader();
        let bytes = match reader.fill_buf() {
            Ok([]) => return Ok(Copied::End),
            Ok(plaintext) => {
                let bytes = plaintext.len().min(room - copied);
                buffer.extend_from_slice(&plaintext[..bytes]);
                bytes
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // Without a close alert: what a request or a frame still lacks shows that it was cut.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Copied::End),
            Err(error) => return Err(error),
        };
        reader.consume(bytes);
        copied += bytes;
    }
    Ok(Copied::Bytes(copied))
}

/// Feeds all of `ciphertext` to a session that shakes hands.
///
/// # Errors
/// If the client broke the protocol; the session then holds an alert to send.
pub fn feed(session: &mut ServerConnection, mut ciphertext: &[u8]) -> Result<(), Error> {
    while !ciphertext.is_empty() {
        let taken = session.read_tls(&mut ciphertext);
        session.process_new_packets()?;
        match taken {
            // Nothing is accepted after the client's close alert.
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Error::General(error.to_string())),
        }
    }
    Ok(())
}

/// Feeds as much of `ciphertext` as the session takes at once.
fn feed_once(session: &mut ServerConnection, ciphertext: &mut &[u8]) -> io::Result<()> {
    if session.read_tls(ciphertext)? == 0 {
        *ciphertext = &[];
    }
    session
        .process_new_packets()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(())
}

impl TlsWriteHalf {
    /// Sends all of `buffer` from `start` on, as one send per 64 KiB and a little more.
    pub async fn write_all(&mut self, buffer: Vec<u8>, start: usize) -> (io::Result<()>, Vec<u8>) {
        let mut sent = start;
        while sent < buffer.len() {
            let size = room_for(buffer.len() - sent);
            let mut records = buffer::take(size);
            let accepted =
                encrypt_all(&mut self.session.borrow_mut(), &buffer[sent..], &mut records);
            let outcome = match accepted {
                Ok(bytes) => {
                    sent += bytes;
                    let (result, spent) = self.write.write_all(records, 0).await;
                    records = spent;
                    result
                }
                Err(error) => Err(error),
            };
            buffer::give(size, records);
            if let Err(error) = outcome {
                return (Err(error), buffer);
            }
        }
        (Ok(()), buffer)
    }

    /// Sends the close alert and ends the sending side.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        let mut records = buffer::take(Use::Head);
        {
            let mut session = self.session.borrow_mut();
            session.send_close_notify();
            flush_records(&mut session, &mut records)?;
        }
        let (result, records) = self.write.write_all(records, 0).await;
        buffer::give(Use::Head, records);
        result?;
        self.write.shutdown().await
    }

    /// The deadlines of this connection.
    pub fn watch(&self) -> &Watch {
        self.write.watch()
    }
}

/// Most octets of the records of so much plaintext.
const fn records_bytes(plaintext: usize) -> usize {
    let records = plaintext.div_ceil(RECORD_BYTES_MAX);
    plaintext.saturating_add(records.saturating_mul(RECORD_OVERHEAD_BYTES_MAX))
}

/// The buffer for the records of so much plaintext, or for the first of them.
const fn room_for(plaintext: usize) -> Use {
    let bytes = records_bytes(plaintext);
    if bytes <= HEAD_BYTES {
        Use::Head
    } else if bytes <= REPLY_BYTES {
        Use::Reply
    } else {
        Use::Records
    }
}

/// Encrypts as much of `plaintext` as there is room for in `records`. A session takes 64 KiB in one turn;
/// a short rest behind them is no send of its own.
fn encrypt_all(
    session: &mut ServerConnection,
    plaintext: &[u8],
    records: &mut Vec<u8>,
) -> io::Result<usize> {
    let mut accepted = 0;
    loop {
        accepted += encrypt(session, &plaintext[accepted..], records)?;
        let rest = plaintext.len() - accepted;
        if rest == 0 || records_bytes(rest) > records.capacity() - records.len() {
            return Ok(accepted);
        }
    }
}

/// Encrypts as much of `plaintext` as the session takes in one turn.
fn encrypt(
    session: &mut ServerConnection,
    plaintext: &[u8],
    records: &mut Vec<u8>,
) -> io::Result<usize> {
    let accepted = session.writer().write(plaintext)?;
    flush_records(session, records)?;
    if accepted == 0 && records.is_empty() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(accepted)
}

/// Moves all pending records into `records`.
pub fn flush_records(session: &mut ServerConnection, records: &mut Vec<u8>) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(records)?;
    }
    Ok(())
}

/// Plaintext of one record (RFC 8446 5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// What a record has beyond it: its head, and a nonce or a type and a tag.
const RECORD_OVERHEAD_BYTES_MAX: usize = 32;

// What a session takes in one turn leaves in one buffer.
const _: () = assert!(records_bytes(BODY_BYTES) <= RECORDS_BYTES);

#[cfg(test)]
mod tests;
