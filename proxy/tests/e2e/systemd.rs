//! What the service manager is told, read from a socket as systemd has it.

use std::{
    io::IoSliceMut,
    os::{fd::AsRawFd, unix::net::UnixDatagram},
    path::Path,
    time::Duration,
};

use nix::{
    cmsg_space,
    sys::{
        signal::Signal,
        socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg},
    },
    unistd::close,
};

use crate::harness::{Origin, Router, eventually, router::Subscribe, wait::SOON};

/// The socket of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("bind");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        Self(socket)
    }

    /// The next message, and how many descriptors came with it.
    #[track_caller]
    fn told(&self) -> (String, usize) {
        let mut bytes = [0; 4096];
        let mut space = cmsg_space!([std::os::fd::RawFd; 128]);
        let (length, fds) = {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let fd = self.0.as_raw_fd();
            let message = recvmsg::<UnixAddr>(fd, &mut parts, Some(&mut space), MsgFlags::empty());
            let message = message.expect("a message in time");
            let mut fds = 0;
            for part in message.cmsgs().expect("whole") {
                let ControlMessageOwned::ScmRights(passed) = part else { continue };
                fds += passed.len();
                for fd in passed {
                    let _ = close(fd);
                }
            }
            (message.bytes, fds)
        };
        (String::from_utf8_lossy(&bytes[..length]).into_owned(), fds)
    }

    /// Skips messages until one contains `what`.
    #[track_caller]
    fn told_of(&self, what: &str) -> (String, usize) {
        for _ in 0..200 {
            let told = self.told();
            if told.0.contains(what) {
                return told;
            }
        }
        panic!("not told of {what}");
    }
}

/// Goal: systemd knows when the router serves, reloads, is replaced and ends, that it lives, and keeps its
/// sockets.
#[test]
fn the_service_manager_is_told_of_the_whole_life_of_a_router() {
    let origin = Origin::echo();
    let setup = Router::setup().subscribe(Subscribe::Unix).route(origin.route("app.test"));
    let path = setup.folder().join("notify.sock");
    let manager = Manager::at(&path);
    let mut router = setup
        .config("")
        .env("NOTIFY_SOCKET", path.display().to_string())
        .env("WATCHDOG_USEC", "400000")
        .start();
    manager.told_of("READY=1");
    let sub = router.subscribe_text();
    let mut stored = Vec::new();
    for _ in 0..3 {
        stored.push(manager.told_of("FDSTORE=1"));
    }
    let http = format!("FDNAME=stream {}", router.http().to_string().replace(':', "_"));
    assert!(stored.iter().any(|(told, fds)| told.contains(&http) && *fds == 2), "{stored:?}");
    let sub = format!("FDNAME=datagram {sub}");
    assert!(stored.iter().any(|(told, fds)| told.contains(&sub) && *fds == 1), "{stored:?}");
    for _ in 0..3 {
        manager.told_of("WATCHDOG=1");
    }

    router.process.signal(Signal::SIGHUP);
    let (reloading, _) = manager.told_of("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.told_of("READY=1");

    router.process.signal(Signal::SIGUSR2);
    let (main, _) = manager.told_of("MAINPID=");
    let new = eventually("the new process answers", SOON, || {
        let pid = router.try_stats()?["suzerain"]["pid"].as_u64()?;
        (pid != u64::from(router.process.pid())).then_some(pid)
    });
    assert_eq!(main, format!("MAINPID={new}\n"));
    // Once the old process is gone, all that is told comes from the new one.
    router.process.status_within(Duration::from_secs(60));
    manager.told_of("WATCHDOG=1");
    router.signal_serving(Signal::SIGQUIT);
    manager.told_of("STOPPING=1");
}
