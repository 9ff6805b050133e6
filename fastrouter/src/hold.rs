//! Post-buffering: a body received whole before a node is chosen, in memory or in a file without a
//! name.
//!
//! Files are written and read by plain calls: what they wait for is the page cache. Memory is bounded
//! for each request and for the worker; beyond either the body goes to a file.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use proxy::{context::Context, http::held_body::HELD_WORKER_BYTES_MAX};
use router_core::{
    buffer::{self, BODY_BYTES, Use},
    deadline::Half,
    io::ReadHalf,
};

/// How bodies are held.
#[derive(Clone, Debug)]
pub struct HoldRules {
    /// Most bytes of one in memory.
    pub memory_max: u64,
    /// Where the longer ones are.
    pub dir: PathBuf,
}

/// Why a body was not received.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The web server left.
    #[error("the connection ended within the body")]
    Cut,
    /// It was too slow.
    #[error("the body did not come in time")]
    Late,
    /// The file cannot be made or written.
    #[error("the body cannot be kept: {0}")]
    File(#[source] io::Error),
}

/// A whole body.
pub struct Held<'c> {
    ctx: &'c Context,
    kept: Kept,
    accounted: usize,
}

enum Kept {
    Memory(Vec<u8>),
    File(File),
}

impl<'c> Held<'c> {
    /// Receives a body of `length` bytes, of which `first` is there already.
    ///
    /// # Errors
    /// [`HoldError`].
    pub async fn receive(
        ctx: &'c Context,
        rules: &HoldRules,
        (read, idle): (&mut ReadHalf, Duration),
        first: &[u8],
        length: u64,
    ) -> Result<Self, HoldError> {
        let mut held = Self::begin(ctx, rules, length).map_err(HoldError::File)?;
        held.keep(first).map_err(HoldError::File)?;
        let mut left = length.saturating_sub(first.len() as u64);
        let mut room = buffer::take(Use::Body);
        while left > 0 {
            read.watch().arm(Half::Read, idle);
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(BODY_BYTES);
            let (result, bytes) = read.read(room, most).await;
            room = bytes;
            match result {
                Ok(count) if count > 0 => left = left.saturating_sub(count as u64),
                _ if read.watch().expired().is_some() => return Err(HoldError::Late),
                _ => return Err(HoldError::Cut),
            }
            held.keep(&room).map_err(HoldError::File)?;
            room.clear();
        }
        read.watch().disarm(Half::Read);
        buffer::give(Use::Body, room);
        Ok(held)
    }

    fn begin(ctx: &'c Context, rules: &HoldRules, length: u64) -> io::Result<Self> {
        let room = (HELD_WORKER_BYTES_MAX - ctx.held_bytes.get().min(HELD_WORKER_BYTES_MAX)) as u64;
        if length > rules.memory_max.min(room) {
            return Ok(Self { ctx, kept: Kept::File(unnamed(&rules.dir)?), accounted: 0 });
        }
        let accounted = length as usize;
        ctx.held_bytes.set(ctx.held_bytes.get() + accounted);
        // Grows with what comes: a length alone takes no memory.
        Ok(Self { ctx, kept: Kept::Memory(Vec::new()), accounted })
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.kept {
            Kept::Memory(memory) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            Kept::File(file) => file.write_all(bytes),
        }
    }

    /// The body from its beginning.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn reader(&mut self) -> io::Result<HeldReader> {
        match &mut self.kept {
            Kept::Memory(memory) => {
                Ok(HeldReader::Memory { bytes: std::mem::take(memory), passed: 0 })
            }
            Kept::File(file) => {
                file.rewind()?;
                Ok(HeldReader::File(file.try_clone()?))
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.ctx.held_bytes.set(self.ctx.held_bytes.get().saturating_sub(self.accounted));
    }
}

fn unnamed(dir: &Path) -> io::Result<File> {
    tempfile::tempfile_in(dir)
}

/// Reads a held body once.
pub enum HeldReader {
    /// From memory.
    Memory {
        /// The body.
        bytes: Vec<u8>,
        /// How much of it was read.
        passed: usize,
    },
    /// From its file.
    File(File),
}

impl HeldReader {
    /// Appends to `buffer` as much as it has room for; zero at the end.
    ///
    /// # Errors
    /// Of the file.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        match self {
            Self::Memory { bytes, passed } => {
                let rest = bytes.get(*passed..).unwrap_or_default();
                let count = rest.len().min(room);
                buffer.extend_from_slice(rest.get(..count).unwrap_or_default());
                *passed += count;
                Ok(count)
            }
            Self::File(file) => file.take(room as u64).read_to_end(buffer),
        }
    }
}
