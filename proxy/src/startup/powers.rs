//! The moment of a start at which nothing needs powers any more.

use router_core::{address::ListenAddr, admin::AdminServer, socket_file::SocketFile};

use super::{RunError, sockets::Sockets};
use crate::{config::Settings, privileges};

/// Everything that needs powers is done. Nothing serves yet.
pub(super) fn give_up(
    settings: &Settings,
    sockets: &Sockets,
    subscribe: &[ListenAddr],
    admin: Option<&AdminServer>,
) -> Result<(), RunError> {
    let listeners = sockets.files.iter().map(SocketFile::path);
    let others = subscribe.iter().chain(admin.map(AdminServer::local_addr));
    let others = others.filter_map(|address| match address {
        ListenAddr::Unix(path) => Some(path.as_path()),
        ListenAddr::Tcp(_) => None,
    });
    privileges::give_up(&settings.privileges, listeners.chain(others))
        .map_err(RunError::Privileges)?;
    for (path, error) in privileges::unreadable(settings) {
        let path = path.display();
        tracing::warn!(%path, %error, "this cannot be read again, so its changes will not be seen");
    }
    Ok(())
}
