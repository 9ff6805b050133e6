//! Samples about the process itself: build, driver, memory, descriptors, CPU time.
//!
//! The `process_` names are the ones every Prometheus client library uses, so that existing
//! dashboards show them. What the system does not tell is left out, never shown as 0.

use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike;

use super::catalog;
use super::{Collector, Page};
use crate::memory_usage::MemoryUsage;
use crate::wall_clock::unix_now;

/// Facts of this process that are fixed at its start.
#[derive(Clone, Debug)]
pub struct ProcessFacts {
    version: &'static str,
    io_driver: &'static str,
    started_unix: u64,
}

impl ProcessFacts {
    /// Notes the present second as the start.
    pub fn new(version: &'static str, io_driver: &'static str) -> Self {
        Self { version, io_driver, started_unix: unix_now() }
    }

    /// Version of the running binary.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The I/O driver chosen at start.
    pub fn io_driver(&self) -> &'static str {
        self.io_driver
    }

    /// Unix second of the start.
    pub fn started_unix(&self) -> u64 {
        self.started_unix
    }

    /// Whole seconds since the start.
    pub fn uptime_s(&self) -> u64 {
        unix_now().saturating_sub(self.started_unix)
    }
}

impl Collector for ProcessFacts {
    fn collect(&self, page: &mut Page) {
        page.sample(&catalog::BUILD_INFO, &[self.version], 1);
        page.sample(&catalog::IO_DRIVER_INFO, &[self.io_driver], 1);
        page.sample(&catalog::PROCESS_START, &[], self.started_unix);
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let us = (usage.user_time() + usage.system_time()).num_microseconds();
            page.seconds(&catalog::PROCESS_CPU, &[], us.max(0) as u64);
        }
        if let Some(usage) = MemoryUsage::now() {
            page.sample(&catalog::PROCESS_MEMORY, &[], usage.resident);
        }
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            // Less the one that reads the directory.
            page.sample(&catalog::PROCESS_OPEN_FDS, &[], (fds.count() as u64).saturating_sub(1));
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            page.sample(&catalog::PROCESS_MAX_FDS, &[], soft);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_shows_this_process() {
        let mut page = Page::default();
        ProcessFacts::new("1.2.3", "epoll").collect(&mut page);
        let text = page.into_text();
        assert!(text.contains("suzerain_build_info{version=\"1.2.3\"} 1\n"), "{text}");
        assert!(text.contains("suzerain_io_driver_info{driver=\"epoll\"} 1\n"), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
        assert!(text.contains("\nprocess_open_fds "), "{text}");
    }
}
