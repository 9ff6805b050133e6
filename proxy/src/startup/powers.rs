//! The moment of a start at which nothing needs powers any more.

use router_core::address::ListenAddr;

use super::{RunError, sockets::Sockets};
use crate::{Ready, config::Settings, privileges, sandbox};

/// Everything that needs powers is done. Nothing serves yet.
pub(super) fn give_up(
    settings: &Settings,
    sockets: &Sockets,
    ready: &Ready,
) -> Result<(), RunError> {
    let listeners = sockets.files();
    let others = ready.subscribe.iter().chain(&ready.admin);
    let others = others.filter_map(|address| match address {
        ListenAddr::Unix(path) => Some(path.as_path()),
        ListenAddr::Tcp(_) => None,
    });
    privileges::give_up(&settings.privileges, listeners.chain(others))
        .map_err(RunError::Privileges)?;
    sandbox::confine(settings.privileges.seccomp, settings.io).map_err(RunError::Sandbox)?;
    for (path, error) in privileges::unreadable(settings) {
        let path = path.display();
        tracing::warn!(%path, %error, "this cannot be read again, so its changes will not be seen");
    }
    Ok(())
}
