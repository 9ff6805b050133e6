//! The I/O runtime of a worker: which driver this machine allows, and running a future on it.
//!
//! One of the two files that name the runtime crate. Drivers are tried by building them, not by
//! kernel version, because containers refuse io_uring in several ways (seccomp, sysctl, memory
//! limits) that only a build reveals. The choice is made once at start, logged and shown in the
//! statistics.

use std::{fmt, io};

use io_uring_06 as io_uring;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

/// Submission queue entries of a worker's ring; completions get four times as many.
const RING_ENTRIES: u32 = 1024;

/// What the operator asked for with `--io`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IoChoice {
    /// io_uring where it can be had, else epoll.
    #[default]
    Auto,
    /// io_uring or a start-up error.
    Uring,
    /// epoll.
    Epoll,
}

impl std::str::FromStr for IoChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(format!("`{text}` is not an I/O driver; allowed: auto, uring, epoll")),
        }
    }
}

/// The driver in use, from the fastest rung of the ladder to the most widely allowed one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Driver {
    /// io_uring with single issuer and deferred task work (Linux 6.1).
    UringDefer,
    /// io_uring with cooperative task work (Linux 5.19).
    UringCoop,
    /// io_uring without flags.
    UringPlain,
    /// epoll.
    Epoll,
}

impl Driver {
    /// The name shown in logs and statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UringDefer => "io_uring (single issuer, deferred task work)",
            Self::UringCoop => "io_uring (cooperative task work)",
            Self::UringPlain => "io_uring",
            Self::Epoll => "epoll",
        }
    }

    /// The value of the driver's metric label, stable for dashboards.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UringDefer => "uring-defer",
            Self::UringCoop => "uring-coop",
            Self::UringPlain => "uring",
            Self::Epoll => "epoll",
        }
    }

    fn ring(self) -> io_uring::Builder {
        let mut builder = io_uring::IoUring::builder();
        builder.setup_cqsize(RING_ENTRIES * 4).setup_clamp();
        match self {
            Self::UringDefer => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Self::UringCoop => {
                builder.setup_coop_taskrun();
            }
            Self::UringPlain | Self::Epoll => {}
        }
        builder
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Finds the first driver of the ladder that this process may use.
///
/// # Errors
/// Only with [`IoChoice::Uring`]: what the kernel said to the plainest ring.
pub fn choose_driver(choice: IoChoice) -> io::Result<Driver> {
    if choice == IoChoice::Epoll {
        return Ok(Driver::Epoll);
    }
    let mut refusal = None;
    for driver in [Driver::UringDefer, Driver::UringCoop, Driver::UringPlain] {
        match driver.ring().build(RING_ENTRIES) {
            Ok(_ring) => return Ok(driver),
            Err(error) => refusal = Some(error),
        }
    }
    match (choice, refusal) {
        (IoChoice::Uring, Some(error)) => Err(error),
        _ => Ok(Driver::Epoll),
    }
}

/// Runs `future` to its end on this thread.
///
/// # Errors
/// If the driver cannot be built, which [`choose_driver`] makes unlikely.
pub fn run<F: Future>(driver: Driver, future: F) -> io::Result<F::Output> {
    match driver {
        Driver::Epoll => {
            Ok(RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?.block_on(future))
        }
        ring => Ok(RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(ring.ring())
            .with_entries(RING_ENTRIES)
            .enable_timer()
            .build()?
            .block_on(future)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_driver_runs_a_timer() {
        for driver in [choose_driver(IoChoice::Auto).unwrap(), Driver::Epoll] {
            run(driver, async { crate::io::sleep_ms(1).await }).unwrap();
        }
    }

    #[test]
    fn unknown_driver_names_what_is_allowed() {
        let error = "kqueue".parse::<IoChoice>().unwrap_err();
        assert!(error.contains("auto, uring, epoll"), "{error}");
    }
}
