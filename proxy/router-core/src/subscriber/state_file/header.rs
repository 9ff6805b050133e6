//! What stands before the journal: when its router last lived.
//!
//! Between the last beat of a router and the start of the next, nodes may have left and others come
//! to their addresses, and nobody heard of it. For one lease that is what a router that lives allows
//! too; after that, or after the machine started anew, the file is worth nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};

use crate::subscriber::limits::{STATE_BEAT_MS, STATE_FILE_BYTES_MAX};

const MAGIC: &[u8; 16] = b"suzerain/state 1";
/// An UUID as text.
const BOOT_ID_BYTES: usize = 36;
/// Where the header says when its router last lived.
pub(super) const ALIVE_AT: u64 = 56;
/// Everything.
pub(super) const HEADER_BYTES: usize = ALIVE_AT as usize + size_of::<u64>();

const _: () = assert!(MAGIC.len() + BOOT_ID_BYTES <= ALIVE_AT as usize);

/// Why a file is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is not a regular file that only its owner can write")]
    Open,
    #[error("it is longer than {STATE_FILE_BYTES_MAX} bytes")]
    Long,
    #[error("it is not a state file of this version")]
    Foreign,
    #[error("the machine was started since")]
    OtherBoot,
    #[error("its router ended longer ago than a lease")]
    Old,
}

/// A header of now.
pub(super) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..][..BOOT_ID_BYTES].copy_from_slice(&boot_id());
    header[ALIVE_AT as usize..].copy_from_slice(&alive());
    header
}

/// The part of it that changes.
pub(super) fn alive() -> [u8; size_of::<u64>()] {
    boot_ms().to_le_bytes()
}

/// The journal at `path`; nothing if nothing is there.
pub(super) fn read(path: &Path, lease_ms: u64) -> Result<Option<Vec<u8>>, Unfit> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let facts = file.metadata()?;
    if !facts.is_file() || facts.mode() & 0o022 != 0 {
        return Err(Unfit::Open);
    }
    let mut bytes = Vec::new();
    file.take(STATE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > STATE_FILE_BYTES_MAX {
        return Err(Unfit::Long);
    }
    check(&bytes, lease_ms)?;
    bytes.drain(..HEADER_BYTES);
    Ok(Some(bytes))
}

fn check(bytes: &[u8], lease_ms: u64) -> Result<(), Unfit> {
    let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Unfit::Foreign)?;
    let (head, alive) = header.split_at(ALIVE_AT as usize);
    let boot = head.strip_prefix(MAGIC).ok_or(Unfit::Foreign)?;
    let known = boot_id();
    if known == [0; BOOT_ID_BYTES] || !boot.starts_with(&known) {
        return Err(Unfit::OtherBoot);
    }
    let alive_ms = alive.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    match boot_ms().checked_sub(alive_ms) {
        Some(gone_ms) if gone_ms <= lease_ms + STATE_BEAT_MS => Ok(()),
        _ => Err(Unfit::Old),
    }
}

/// Which run of the machine this is; zeros if it does not say.
fn boot_id() -> [u8; BOOT_ID_BYTES] {
    let text = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.first_chunk().copied().unwrap_or([0; BOOT_ID_BYTES])
}

/// Milliseconds the machine has run, its sleep included.
fn boot_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(std::time::Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_for_one_lease_of_the_same_run_of_the_machine() {
        let with = |alive_ms: u64, boot: &[u8]| {
            let mut header = header();
            header[ALIVE_AT as usize..].copy_from_slice(&alive_ms.to_le_bytes());
            header[MAGIC.len()..][..boot.len()].copy_from_slice(boot);
            check(&header, 17_000)
        };
        let now_ms = boot_ms();
        assert!(with(now_ms, b"").is_ok());
        assert!(with(now_ms.saturating_sub(17_000), b"").is_ok());
        let old = now_ms.saturating_sub(18_000 + 500);
        assert!(matches!(with(old, b""), Err(Unfit::Old)));
        assert!(matches!(with(now_ms + 60_000, b""), Err(Unfit::Old)), "a clock that went back");
        assert!(matches!(with(now_ms, b"another"), Err(Unfit::OtherBoot)));
        assert!(matches!(check(b"short", 17_000), Err(Unfit::Foreign)));
    }
}
