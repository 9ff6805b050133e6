//! What a process knows and its successor should know too: named parts, opaque here.
//!
//! It is passed as a file in memory, never on a disk: keys are among it. A part that the successor does
//! not know is ignored, one that it misses leaves it as a first start would.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use rustix::fs::{MemfdFlags, memfd_create};

/// Most parts.
const PARTS_MAX: usize = 64;
/// Largest memory taken over.
const BYTES_MAX: u64 = 4 << 30;

/// Named parts.
#[derive(Debug, Default)]
pub struct Memory {
    parts: Vec<(String, Vec<u8>)>,
}

impl Memory {
    /// Adds a part.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.parts.push((name.to_owned(), bytes));
    }

    /// Takes a part out.
    pub fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.parts.iter().position(|(known, _)| known == name)?;
        Some(self.parts.swap_remove(at).1)
    }

    /// Writes it down: names and lengths, and a file with all bytes.
    ///
    /// # Errors
    /// If there is no room.
    pub fn write(&self) -> io::Result<(Vec<(String, u64)>, File)> {
        let fd = memfd_create("suzerain-memory", MemfdFlags::CLOEXEC)?;
        let mut file = File::from(fd);
        for (_, bytes) in &self.parts {
            file.write_all(bytes)?;
        }
        let lengths = self.parts.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64));
        Ok((lengths.collect(), file))
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// If the file is not as long as the parts say.
    pub fn read(parts: Vec<(String, u64)>, fd: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(fd);
        let length = file.seek(SeekFrom::End(0))?;
        let said: u64 = parts.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes));
        if said != length || length > BYTES_MAX || parts.len() > PARTS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the memory is cut"));
        }
        let mut at = 0;
        let mut read = |(name, bytes): (String, u64)| {
            let mut part = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
            file.read_exact_at(&mut part, at)?;
            at += bytes;
            Ok((name, part))
        };
        let parts = parts.into_iter().map(&mut read).collect::<io::Result<_>>()?;
        Ok(Self { parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_were_written() {
        let mut memory = Memory::default();
        memory.put("subscriptions", vec![1; 100_000]);
        memory.put("nothing", Vec::new());
        memory.put("keys", b"secret".to_vec());
        let (parts, file) = memory.write().unwrap();
        let mut read = Memory::read(parts.clone(), file.try_clone().unwrap().into()).unwrap();
        assert_eq!(read.take("keys").unwrap(), b"secret");
        assert_eq!(read.take("keys"), None);
        assert_eq!(read.take("subscriptions").unwrap(), vec![1; 100_000]);
        assert_eq!(read.take("nothing").unwrap(), b"");
        file.set_len(100_000).unwrap();
        assert!(Memory::read(parts, file.into()).is_err(), "it is cut");
    }
}
