//! A new process of this router takes over under traffic too.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Router, eventually, wait::SOON};

#[test]
fn an_upgrade_keeps_listener_and_admin_socket() {
    let mut router = Router::setup().start();
    router.process.signal(Signal::SIGUSR2);
    let status = router.process.status_within(Duration::from_secs(30));
    assert!(status.success(), "{status}");
    assert!(router.process.stderr().contains("took over"), "{}", router.process.stderr());
    eventually("the new one answers", SOON, || {
        let pid = router.try_stats()?["suzerain"]["pid"].as_u64()?;
        (pid != u64::from(router.process.pid())).then_some(())
    });
    assert!(std::net::TcpStream::connect(router.http()).is_ok(), "it listens");
}
