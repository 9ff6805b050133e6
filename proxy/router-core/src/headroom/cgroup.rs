//! Memory bounds of control groups: where they are, what they allow, and what is used of it.
//!
//! Of version 2 the group and all above it count, as far as they are visible, with `memory.max` and
//! `memory.high`; of version 1 those of the memory hierarchy. Pages of files are not counted as used: the
//! kernel fills every group with them and gives them up when memory is wanted. (Those of tmpfs are not
//! among them: the kernel lists them as anonymous.)

use std::fs;
use std::path::{Path, PathBuf};

/// At this or above it is what version 1 says for "no limit".
const UNLIMITED: u64 = 1 << 60;

/// The two kinds of file names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Version {
    One,
    Two,
}

/// What a group uses, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Used {
    /// Without pages of files.
    pub all: u64,
    /// What of it the kernel holds in sockets.
    pub sockets: u64,
}

/// A directory of a group that this process is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    pub path: PathBuf,
    version: Version,
}

impl Group {
    /// Its bound, if it has one.
    pub fn limit(&self) -> Option<u64> {
        let names: &[&str] = match self.version {
            Version::One => &["memory.limit_in_bytes"],
            Version::Two => &["memory.max", "memory.high"],
        };
        let limits = names.iter().filter_map(|name| self.number(name));
        limits.filter(|limit| *limit < UNLIMITED).min()
    }

    /// What counts against it.
    pub fn used(&self) -> Option<Used> {
        let (usage, prefix) = match self.version {
            Version::One => ("memory.usage_in_bytes", "total_"),
            Version::Two => ("memory.current", ""),
        };
        let stat = fs::read_to_string(self.path.join("memory.stat")).ok()?;
        let bytes = |name: &str| -> u64 {
            let value = |line: &str| line.strip_prefix(prefix)?.strip_prefix(name)?.parse().ok();
            stat.lines().find_map(value).unwrap_or(0)
        };
        let files = bytes("inactive_file ") + bytes("active_file ");
        let all = self.number(usage)?.saturating_sub(files);
        Some(Used { all, sockets: bytes("sock ") })
    }

    fn number(&self, file: &str) -> Option<u64> {
        // "max" is no number.
        fs::read_to_string(self.path.join(file)).ok()?.trim().parse().ok()
    }
}

/// The groups of this process, the innermost first.
pub fn groups() -> Vec<Group> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    find(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

fn find(cgroup: &str, mountinfo: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let version = match controllers {
            "" => Version::Two,
            _ if controllers.split(',').any(|name| name == "memory") => Version::One,
            _ => continue,
        };
        let Some((root, mount)) = mountinfo.lines().find_map(|line| mount(line, version)) else {
            continue;
        };
        // A container without a namespace of groups sees its own as the root of the mount.
        let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        let is_leaf = inside != Path::new("") && !inside.starts_with("..");
        let leaf = if is_leaf { mount.join(inside) } else { mount.to_owned() };
        let above = leaf.ancestors().take_while(|path| path.starts_with(mount));
        groups.extend(above.map(|path| Group { path: path.into(), version }));
    }
    groups
}

/// Root and mount point of a line, if it is one of the hierarchy.
fn mount(line: &str, version: Version) -> Option<(&Path, &Path)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (name, options) = (kind.next()?, kind.next_back()?);
    let is_it = match version {
        Version::One => name == "cgroup" && options.split(',').any(|option| option == "memory"),
        Version::Two => name == "cgroup2",
    };
    let mut place = place.split(' ').skip(3);
    let (root, mount) = (place.next()?, place.next()?);
    is_it.then_some((Path::new(root), Path::new(mount)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(cgroup: &str, mountinfo: &str) -> Vec<String> {
        find(cgroup, mountinfo).iter().map(|group| group.path.display().to_string()).collect()
    }

    const TWO: &str =
        "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn a_service_has_its_own_group_and_those_above() {
        let found = paths("0::/system.slice/suzerain.service\n", TWO);
        let all = ["/system.slice/suzerain.service", "/system.slice", ""];
        assert_eq!(found, all.map(|path| format!("/sys/fs/cgroup{path}")));
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        assert_eq!(paths("0::/\n", TWO), ["/sys/fs/cgroup"]);
        assert_eq!(paths("0::/../other\n", TWO), ["/sys/fs/cgroup"]);
        let one = "31 24 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        assert_eq!(paths("4:memory:/docker/abc\n", one), ["/sys/fs/cgroup/memory"]);
    }

    #[test]
    fn both_versions_side_by_side_are_both_looked_at() {
        let mounts = "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /cg/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let found = paths("5:cpu:/c\n4:memory:/a\n0::/\n", mounts);
        assert_eq!(found, ["/cg/memory/a", "/cg/memory", "/cg/unified"]);
        assert_eq!(paths("4:memory:/a\n", ""), [""; 0], "nothing is mounted");
    }

    /// A folder that says what a group says.
    fn group(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let path = folder.path().to_owned();
        (folder, Group { path, version })
    }

    #[test]
    fn the_lower_of_two_bounds_holds_and_pages_that_can_go_do_not_count() {
        let (_folder, two) = group(
            Version::Two,
            &[
                ("memory.max", "1000\n"),
                ("memory.high", "800\n"),
                ("memory.current", "700\n"),
                ("memory.stat", "anon 400\nactive_file 50\ninactive_file 250\nsock 3\n"),
            ],
        );
        assert_eq!((two.limit(), two.used()), (Some(800), Some(Used { all: 400, sockets: 3 })));
        let (_folder, one) = group(
            Version::One,
            &[
                ("memory.limit_in_bytes", "600\n"),
                ("memory.usage_in_bytes", "500\n"),
                ("memory.stat", "inactive_file 1\ntotal_inactive_file 100\n"),
            ],
        );
        assert_eq!((one.limit(), one.used()), (Some(600), Some(Used { all: 400, sockets: 0 })));
    }

    #[test]
    fn a_group_without_a_bound_has_none() {
        let max = [("memory.max", "max\n"), ("memory.high", "max\n")];
        assert_eq!(group(Version::Two, &max).1.limit(), None);
        let most = [("memory.limit_in_bytes", "9223372036854771712\n")];
        assert_eq!(group(Version::One, &most).1.limit(), None);
        assert_eq!(group(Version::Two, &[]).1.limit(), None, "the root has no such files");
    }
}
