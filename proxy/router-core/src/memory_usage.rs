//! What this process uses, out of `/proc/self/status`.

use std::fs;

/// Bytes of one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct MemoryUsage {
    /// Memory that is there.
    pub resident: u64,
    /// What of it is its own: no files, nothing shared.
    pub anonymous: u64,
    /// Address space.
    pub address_space: u64,
}

impl MemoryUsage {
    /// As of now; `None` if the system does not tell.
    pub fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn read(status: &str) -> Option<Self> {
        let mut usage = Self::default();
        for line in status.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let place = match name {
                "VmRSS" => &mut usage.resident,
                "RssAnon" => &mut usage.anonymous,
                "VmSize" => &mut usage.address_space,
                _ => continue,
            };
            *place = value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
        }
        (usage.address_space > 0).then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_in_bytes() {
        let text = "Name:\tsuzerain\nVmPeak:\t  900 kB\nVmSize:\t  800 kB\nVmRSS:\t 90 kB\n\
                    RssAnon:\t      40 kB\nRssFile:\t 50 kB\nVmData:\t     100 kB\n";
        let usage = MemoryUsage::read(text).unwrap();
        let kib = 1024;
        let expected =
            MemoryUsage { resident: 90 * kib, anonymous: 40 * kib, address_space: 800 * kib };
        assert_eq!(usage, expected);
        assert_eq!(MemoryUsage::read("Name:\tkthreadd\n"), None);
        assert_eq!(MemoryUsage::read("VmSize:\tmuch kB\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let usage = MemoryUsage::now().unwrap();
        assert!(usage.anonymous > 0 && usage.address_space > usage.anonymous, "{usage:?}");
    }
}
