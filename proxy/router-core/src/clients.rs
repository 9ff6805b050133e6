//! What single clients may use: requests per second, and connections at once.
//!
//! A client is an IPv4 address or the first 64 bits of an IPv6 address, which is what one customer
//! commonly has. Memory is fixed at start however many clients come, and all workers share it
//! without locks. What that costs in precision is said at [`ClientRates`] and
//! [`ClientConnections`]; the hashes are secret, so nobody can choose whom to collide with.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use route_table::{Rate, TooEarly};

/// Clients remembered together by a hash. Four fill a cache line.
const WAYS: usize = 4;
/// Groups of [`WAYS`] clients.
const GROUPS: usize = 16 * 1024;
/// Cells of each of the two rows of connection counts.
const CELLS: usize = 1 << u16::BITS;

const _: () = assert!(GROUPS.is_power_of_two());

/// What is counted as one client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ClientId {
    /// An IPv4 address.
    V4(u32),
    /// A network of 64 bits.
    V6(u64),
}

impl ClientId {
    /// The client an address belongs to.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

/// The rates of up to 65,536 clients at a time, in 1 MiB.
///
/// Exact for a client that is remembered. When more than four active clients meet in one group, the
/// one that is nearest to having its whole burst again is forgotten and begins with a new one: a
/// flood from very many addresses is limited less strictly than one from few, never more.
pub struct ClientRates {
    groups: Box<[Group]>,
    seed: RandomState,
}

#[derive(Default)]
#[repr(align(64))]
struct Group {
    slots: [Slot; WAYS],
}

#[derive(Default)]
struct Slot {
    tag: AtomicU64,
    due_us: AtomicU64,
}

impl Default for ClientRates {
    fn default() -> Self {
        let groups = (0..GROUPS).map(|_| Group::default()).collect();
        Self { groups, seed: RandomState::new() }
    }
}

impl ClientRates {
    /// One request of `client` at `now_us`. Each `scope` has rates of its own.
    ///
    /// # Errors
    /// [`TooEarly`]: the client had its share for now.
    pub fn arrive(
        &self,
        scope: u64,
        client: ClientId,
        rate: Rate,
        now_us: u64,
    ) -> Result<(), TooEarly> {
        let tag = self.seed.hash_one((scope, client)) | 1;
        let group = &self.groups[(tag >> 32) as usize % GROUPS];
        rate.take(&group.slot_of(tag).due_us, now_us)
    }
}

impl Group {
    fn slot_of(&self, tag: u64) -> &Slot {
        let mut oldest = &self.slots[0];
        for slot in &self.slots {
            if slot.tag.load(Relaxed) == tag {
                return slot;
            }
            if slot.due_us.load(Relaxed) < oldest.due_us.load(Relaxed) {
                oldest = slot;
            }
        }
        // Two workers that replace the same slot at once may mix two clients up for one request.
        oldest.due_us.store(0, Relaxed);
        oldest.tag.store(tag, Relaxed);
        oldest
    }
}

/// Connections open per client, in 512 KiB.
///
/// Each client counts in two cells and the lesser count is believed. A client can so seem to have
/// more connections than it has if others share both its cells, which needs several hundred
/// thousand connections to become likely; never fewer.
#[derive(Debug)]
pub struct ClientConnections {
    rows: [Box<[AtomicU32]>; 2],
    seed: RandomState,
}

/// One connection that is counted, until it is dropped.
#[derive(Debug)]
pub struct ClientSlot {
    all: Arc<ClientConnections>,
    cells: [u16; 2],
}

impl Default for ClientConnections {
    fn default() -> Self {
        let row = || (0..CELLS).map(|_| AtomicU32::new(0)).collect();
        Self { rows: [row(), row()], seed: RandomState::new() }
    }
}

impl ClientConnections {
    /// Counts one more connection of a client, unless it has the `most` it may have.
    pub fn enter(self: &Arc<Self>, client: ClientId, most: u32) -> Option<ClientSlot> {
        let hash = self.seed.hash_one(client);
        // Sixteen bits each: a row has that many cells.
        let cells = [hash as u16, (hash >> 32) as u16];
        let before = self.counts(cells).map(|count| count.fetch_add(1, Relaxed)).min();
        let slot = ClientSlot { all: self.clone(), cells };
        (before.unwrap_or(0) < most).then_some(slot)
    }

    fn counts(&self, cells: [u16; 2]) -> impl Iterator<Item = &AtomicU32> {
        self.rows.iter().zip(cells).filter_map(|(row, cell)| row.get(usize::from(cell)))
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        self.all.counts(self.cells).for_each(|count| {
            count.fetch_sub(1, Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(ip: &str) -> ClientId {
        ClientId::of(ip.parse().unwrap())
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_address_is_ipv4() {
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn each_client_and_each_scope_has_a_rate_of_its_own() {
        let (rates, rate) = (ClientRates::default(), Rate::new(1, 1_000_000, 3));
        let passed =
            |scope, ip| (0..9).filter(|_| rates.arrive(scope, client(ip), rate, 7).is_ok()).count();
        assert_eq!([passed(0, "192.0.2.1"), passed(0, "192.0.2.1")], [3, 0]);
        assert_eq!([passed(0, "192.0.2.2"), passed(1, "192.0.2.1")], [3, 3]);
    }

    /// Goal: memory stays fixed and a client in flood stays limited while others come and go.
    #[test]
    fn many_quiet_clients_do_not_free_one_in_flood() {
        let (rates, rate) = (ClientRates::default(), Rate::new(10, 1_000_000, 10));
        let flood = client("192.0.2.1");
        let mut passed = 0;
        for second in 1..=20_u64 {
            for quiet in 0..2_000_u32 {
                let quiet = ClientId::V4(quiet + 1_000_000 * second as u32);
                assert!(rates.arrive(0, quiet, rate, second * 1_000_000).is_ok());
            }
            for _ in 0..100 {
                passed += usize::from(rates.arrive(0, flood, rate, second * 1_000_000).is_ok());
            }
        }
        assert!((200..=220).contains(&passed), "{passed} of 10 a second for 20 s");
    }

    #[test]
    fn connections_are_counted_per_client_and_counted_out() {
        let all = Arc::new(ClientConnections::default());
        let one = client("192.0.2.1");
        let held = (all.enter(one, 2), all.enter(one, 2));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(all.enter(one, 2).is_none() && all.enter(one, 2).is_none());
        assert!(all.enter(client("192.0.2.2"), 2).is_some());
        drop(held.0);
        assert!(all.enter(one, 2).is_some());
        assert!(all.enter(one, 2).is_some(), "what was refused is not counted");
    }
}
