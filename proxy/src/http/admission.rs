//! What the policy of a key lets in, judged before a node is chosen.

use http1_wire::{RequestFraming, RequestHead};
use route_table::CanonicalHost;

use super::{judge::Denial, provenance::Provenance};
use crate::{
    context::Scheme,
    policy::{HttpsRedirect, Policy},
};

/// Checks a sound head against the rules of the key that routes it.
///
/// # Errors
/// The answer, which no node is asked for.
pub fn check(
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    from: &Provenance<'_>,
    policy: &Policy,
) -> Result<(), Denial> {
    if let Some(redirect) = policy.headers.https_redirect
        && from.scheme == Scheme::Http
    {
        return Err(Denial::Redirect(redirect.status, location(head, host, redirect)));
    }
    if let RequestFraming::Length(bytes) = head.framing {
        let over = |most: Option<u64>| most.is_some_and(|most| bytes > most);
        let may_continue = !head.expect_continue || !over(policy.headers.expect_bytes_max);
        if over(policy.body_bytes_max) || !may_continue {
            return Err(Denial::Status(413));
        }
    }
    Ok(())
}

/// The same resource over HTTPS. Host and target are in canonical form and of visible octets, so that
/// nothing in them ends the field; a target in absolute-form lost its authority, which was the Host.
fn location(
    head: &RequestHead<'_, '_>,
    host: &CanonicalHost<'_>,
    redirect: HttpsRedirect,
) -> String {
    let mut target = Vec::new();
    head.target.write_origin_form(&mut target);
    let port = redirect.port.map(|port| format!(":{port}")).unwrap_or_default();
    // An OPTIONS for the whole server has no place of its own.
    let path = match target.as_slice() {
        b"*" => "/".into(),
        target => String::from_utf8_lossy(target),
    };
    format!("https://{}{port}{path}", host.host())
}
