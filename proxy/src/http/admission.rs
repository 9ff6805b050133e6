//! What the policy of a key lets in, judged before a node is chosen.

use http1_wire::{RequestFraming, RequestHead};

use super::judge::Denial;
use crate::policy::Policy;

/// Checks a sound head against the rules of the key that routes it.
///
/// # Errors
/// The answer, which no node is asked for.
pub fn check(head: &RequestHead<'_, '_>, policy: &Policy) -> Result<(), Denial> {
    if let (RequestFraming::Length(bytes), Some(most)) = (head.framing, policy.body_bytes_max)
        && bytes > most
    {
        return Err(Denial::Status(413));
    }
    Ok(())
}
