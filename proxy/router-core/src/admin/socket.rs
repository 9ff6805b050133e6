//! Binding the admin socket, and taking its file away again.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::ListenAddr;

/// A listening socket that removes its file when it is dropped.
#[derive(Debug)]
pub(super) struct AdminSocket {
    socket: Socket,
    address: ListenAddr,
    /// Device and inode of the socket file: another process may have replaced it since.
    file: Option<(u64, u64)>,
}

impl AdminSocket {
    pub(super) fn bind(address: &ListenAddr) -> io::Result<Self> {
        match address {
            ListenAddr::Tcp(wanted) => {
                let domain = Domain::for_address(*wanted);
                let socket = Socket::new(domain, Type::STREAM.nonblocking().cloexec(), None)?;
                if wanted.is_ipv6() {
                    socket.set_only_v6(true)?;
                }
                socket.set_reuse_address(true)?;
                socket.bind(&SockAddr::from(*wanted))?;
                socket.listen(BACKLOG)?;
                let actual = socket.local_addr()?.as_socket().unwrap_or(*wanted);
                Ok(Self { socket, address: ListenAddr::Tcp(actual), file: None })
            }
            ListenAddr::Unix(path) => {
                remove_stale(path)?;
                let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
                socket.bind(&SockAddr::unix(path)?)?;
                // Before `listen`, so that nobody connects while the file has wider permissions.
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
                socket.listen(BACKLOG)?;
                let found = fs::symlink_metadata(path)?;
                let file = Some((found.dev(), found.ino()));
                Ok(Self { socket, address: address.clone(), file })
            }
        }
    }

    pub(super) fn address(&self) -> &ListenAddr {
        &self.address
    }

    /// A second handle on the socket for the runtime that accepts.
    pub(super) fn try_clone(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let (Some(file), ListenAddr::Unix(path)) = (self.file, &self.address) else { return };
        let ours = fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == file);
        if ours {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes the socket file a dead process left; one that is answered is in use.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is no socket"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        },
    }
}

const BACKLOG: i32 = 128;
