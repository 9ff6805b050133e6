//! What the policy of a key changes in the fields of a response.

use http1_wire::ReplyEdit;

use crate::{context::Scheme, policy::HeaderPolicy};

/// Changes to one response; no more than it has room for, since they are all made here.
#[derive(Debug, Default)]
pub struct Edit<'a> {
    dropped: Few<&'a str>,
    added: Few<(&'a str, &'a [u8])>,
}

/// Most changes of one kind.
const FEW: usize = 6;

#[derive(Debug, Default)]
struct Few<T> {
    all: [T; FEW],
    count: usize,
}

impl<T> Few<T> {
    fn push(&mut self, one: T) {
        debug_assert!(self.count < FEW, "a change has no room");
        if let Some(slot) = self.all.get_mut(self.count) {
            *slot = one;
            self.count += 1;
        }
    }
}

impl<'a> Edit<'a> {
    /// Keeps the browser on HTTPS, if that is asked for and it is there (RFC 6797 7.2 forbids it over
    /// plain HTTP).
    pub fn secure(&mut self, policy: &'a HeaderPolicy, scheme: Scheme) {
        if let (Some(value), Scheme::Https) = (&policy.hsts, scheme) {
            self.dropped.push("strict-transport-security");
            self.added.push(("Strict-Transport-Security", value.as_bytes()));
        }
    }

    /// Keeps a field of the node back.
    pub fn drop_field(&mut self, name: &'a str) {
        self.dropped.push(name);
    }

    /// Adds a field of our own.
    pub fn add(&mut self, name: &'a str, value: &'a [u8]) {
        self.added.push((name, value));
    }

    /// As the head is written.
    pub fn facts(&self) -> ReplyEdit<'_> {
        ReplyEdit {
            dropped: &self.dropped.all[..self.dropped.count],
            added: &self.added.all[..self.added.count],
        }
    }
}
