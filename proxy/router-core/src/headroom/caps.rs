//! The caps that hold, and which of them is nearest.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::cgroup::{self, Group};
use super::{Cap, CapOf, MemoryMax};
use crate::memory_usage::MemoryUsage;

/// Looks between two searches for control groups: a process is hardly ever moved.
const LOOKS_PER_SEARCH: u32 = 600;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub struct Caps {
    groups: Vec<Group>,
    /// Looks until the groups are searched for again.
    looks_left: u32,
    address_space: Option<AddressSpace>,
}

/// A limit of the address space, and what was used when it was first seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct AddressSpace {
    limit: u64,
    at_first: MemoryUsage,
}

impl AddressSpace {
    /// What counts: the space at first, and memory that came since. The allocator reserves space for
    /// its threads, fills it later and never gives it up, so the space of now says nothing about room.
    fn used(self, now: MemoryUsage) -> u64 {
        let came = now.anonymous.saturating_sub(self.at_first.anonymous);
        self.at_first.address_space + came
    }

    /// Nine tenths. A limit that the allocator's reserve nearly fills from the start is not meant to
    /// refuse everybody, so half of what is left at the start is left to be used in any case.
    fn refuse_from(self) -> u64 {
        let left = self.limit.saturating_sub(self.at_first.address_space);
        nine_tenths(self.limit).max(self.at_first.address_space + left / 2)
    }
}

impl Caps {
    /// The cap of which the greatest part is used, if there is any.
    pub fn nearest(&mut self, max: MemoryMax) -> Option<Cap> {
        match max {
            MemoryMax::Off => None,
            MemoryMax::Bytes(refuse_from) => MemoryUsage::now().map(|usage| Cap {
                of: CapOf::Setting,
                base: 0,
                refuse_from,
                used: usage.anonymous,
            }),
            MemoryMax::Auto => {
                let groups = self.of_groups();
                groups.into_iter().chain(self.of_address_space()).max_by_key(Cap::percent)
            }
        }
    }

    fn of_groups(&mut self) -> Vec<Cap> {
        if self.looks_left == 0 {
            self.groups = cgroup::groups();
            self.looks_left = LOOKS_PER_SEARCH;
        }
        self.looks_left -= 1;
        let Some(own) = MemoryUsage::now() else { return Vec::new() };
        let caps = self.groups.iter().filter_map(|group| {
            let (limit, used) = (group.limit()?, group.used()?);
            let others = used.all.saturating_sub(own.anonymous + used.sockets);
            let (of, refuse_from) = (CapOf::Cgroup(group.path.clone()), of_group(limit, others));
            Some(Cap { of, base: others, refuse_from, used: used.all })
        });
        caps.collect()
    }

    fn of_address_space(&mut self) -> Option<Cap> {
        let (limit, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
        if limit == RLIM_INFINITY {
            self.address_space = None;
            return None;
        }
        let now = MemoryUsage::now()?;
        let known = self.address_space.filter(|known| known.limit == limit);
        let space = known.unwrap_or(AddressSpace { limit, at_first: now });
        self.address_space = Some(space);
        let (refuse_from, used) = (space.refuse_from(), space.used(now));
        let base = space.at_first.address_space;
        Some(Cap { of: CapOf::AddressSpace, base, refuse_from, used })
    }
}

/// Nine tenths of the limit. What others in the group use is not the router's to give back: where they
/// nearly fill it, half of what they leave is left to be used, or their memory would close the router.
fn of_group(limit: u64, others: u64) -> u64 {
    nine_tenths(limit).max(others + limit.saturating_sub(others) / 2)
}

fn nine_tenths(bytes: u64) -> u64 {
    bytes / 10 * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_counts_memory_of_its_own_and_off_looks_at_nothing() {
        let cap = Caps::default().nearest(MemoryMax::Bytes(1 << 40)).unwrap();
        assert_eq!((cap.of, cap.refuse_from), (CapOf::Setting, 1 << 40));
        assert!(cap.used > 0);
        assert_eq!(Caps::default().nearest(MemoryMax::Off), None);
    }

    #[test]
    fn others_that_nearly_fill_a_group_do_not_close_the_router() {
        assert_eq!(of_group(1000, 0), 900);
        assert_eq!(of_group(1000, 700), 900);
        assert_eq!(of_group(1000, 960), 980);
        assert_eq!(of_group(1000, 1000), 1000);
    }

    fn space(limit: u64, address_space: u64) -> AddressSpace {
        AddressSpace {
            limit,
            at_first: MemoryUsage { anonymous: 40, address_space, ..MemoryUsage::default() },
        }
    }

    #[test]
    fn an_address_space_that_is_nearly_full_from_the_start_has_half_of_its_rest() {
        assert_eq!(space(1000, 200).refuse_from(), 900);
        assert_eq!(space(1000, 940).refuse_from(), 970);
        assert_eq!(space(1000, 1000).refuse_from(), 1000);
    }

    #[test]
    fn of_the_address_space_only_memory_that_came_counts() {
        let used = |anonymous| {
            space(1000, 500).used(MemoryUsage {
                anonymous,
                address_space: 800,
                ..MemoryUsage::default()
            })
        };
        assert_eq!((used(240), used(40), used(10)), (700, 500, 500));
    }
}
