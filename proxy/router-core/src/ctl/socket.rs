//! Binding the control socket with its permissions, and taking its file away again.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::address::ListenAddr;
use crate::estate::{Estate, Kind};
use crate::socket_file::{SocketFile, SocketKind, clear_stale};

/// Who may connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketAccess {
    /// Permissions of the socket's file.
    pub mode: u32,
    /// User of the socket's file; `None`: that of the process.
    pub owner: Option<u32>,
    /// Group of the socket's file; `None`: that of the process.
    pub group: Option<u32>,
}

/// A listening socket that removes its file when it is dropped.
#[derive(Debug)]
pub(super) struct CtlSocket {
    pub socket: Socket,
    /// Goes with the socket.
    pub file: SocketFile,
}

impl CtlSocket {
    /// Takes it from `estate`, with the permissions that whoever bound it gave it, or binds it.
    pub fn bind(path: &Path, access: SocketAccess, estate: &Estate) -> io::Result<Self> {
        let address = ListenAddr::Unix(path.to_owned());
        let socket = match estate.take(Kind::Stream, &address)?.pop() {
            Some(socket) => socket,
            None => {
                let socket = Self::bind_anew(path, access)?;
                estate.keep(Kind::Stream, &address, &socket)?;
                socket
            }
        };
        Ok(Self { socket, file: estate.file_at(Kind::Stream, path)? })
    }

    fn bind_anew(path: &Path, access: SocketAccess) -> io::Result<Socket> {
        clear_stale(path, SocketKind::Stream)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Before `listen`, so that nobody connects while the file has wider permissions.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        if access.owner.or(access.group).is_some() {
            chown(path, access.owner, access.group)?;
        }
        fs::set_permissions(path, Permissions::from_mode(access.mode))?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    }
}

const BACKLOG: i32 = 64;
