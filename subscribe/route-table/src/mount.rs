//! The keys with a mountpoint that could serve a path.

use crate::limits::{KEY_BYTES_MAX, MOUNT_SEGMENTS_MAX};

/// `name/segment`, `name/segment/segment`, … for the first segments of a path.
#[derive(Clone, Debug)]
pub struct MountKeys {
    text: [u8; KEY_BYTES_MAX],
    /// Lengths of the keys, shortest first; the first `count` are set.
    ends: [usize; MOUNT_SEGMENTS_MAX],
    count: usize,
}

impl MountKeys {
    /// The keys under `name` for `path`, which begins with `/` to have any. An empty segment ends
    /// them, since no mountpoint has one, as does a key that would pass [`KEY_BYTES_MAX`].
    pub fn new(name: &str, path: &[u8]) -> Self {
        let mut keys = Self { text: [0; KEY_BYTES_MAX], ends: [0; MOUNT_SEGMENTS_MAX], count: 0 };
        let Some(room) = keys.text.get_mut(..name.len()) else { return keys };
        room.copy_from_slice(name.as_bytes());
        let mut end = name.len();
        let Some(rest) = path.strip_prefix(b"/") else { return keys };
        for segment in rest.split(|&byte| byte == b'/').take(MOUNT_SEGMENTS_MAX) {
            let after = end + 1 + segment.len();
            match keys.text.get_mut(end..after) {
                Some([slash, room @ ..]) if !segment.is_empty() => {
                    *slash = b'/';
                    room.copy_from_slice(segment);
                }
                _ => break,
            }
            end = after;
            keys.ends[keys.count] = end;
            keys.count += 1;
        }
        keys
    }

    /// The keys, longest first. Those that are no text are left out, as no key is like them.
    pub fn longest_first(&self) -> impl Iterator<Item = &str> {
        let ends = self.ends[..self.count].iter().rev();
        ends.filter_map(|&end| std::str::from_utf8(self.text.get(..end)?).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(name: &str, path: &str) -> Vec<String> {
        MountKeys::new(name, path.as_bytes()).longest_first().map(str::to_owned).collect()
    }

    #[test]
    fn every_level_is_named_longest_first() {
        assert_eq!(keys("h", "/a/b/c"), ["h/a/b/c", "h/a/b", "h/a"]);
        assert_eq!(keys("h:81", "/a/"), ["h:81/a"]);
        assert!(keys("h", "/").is_empty() && keys("h", "*").is_empty() && keys("h", "").is_empty());
    }

    #[test]
    fn an_empty_segment_a_deep_path_and_a_long_key_end_them() {
        assert_eq!(keys("h", "/a//b"), ["h/a"]);
        assert_eq!(keys("h", &"/x".repeat(20)).len(), MOUNT_SEGMENTS_MAX);
        assert_eq!(keys("h", &format!("/a/{}", "y".repeat(300))), ["h/a"]);
    }
}
