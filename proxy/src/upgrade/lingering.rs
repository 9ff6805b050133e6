//! Old processes that have nothing left but tunnels, such as WebSockets.
//!
//! They may last for an hour, so they must not keep anybody from the next upgrade; but each costs the memory of a
//! process, so there may be so many and no more. A successor knows of them from its predecessor, and looks
//! in `/proc` whether they still live.

use std::fs;

use router_core::wall_clock::unix_now;

use super::Draining;

/// Old processes with tunnels at once. With as many, an upgrade is refused until one has ended.
pub const LINGERING_MAX: usize = 8;

/// Forgets those that have ended.
pub fn forget_ended(all: &mut Vec<Draining>) {
    let now_unix = unix_now();
    all.retain(|one| one.until_unix >= now_unix && is_alive(one.pid));
}

/// Whether the process runs. One that has ended and waits to be collected does not.
fn is_alive(pid: u32) -> bool {
    // PID (NAME) STATE ...; a NAME may hold anything (proc_pid_stat(5)).
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    let state = stat.ok().and_then(|text| text.rsplit_once(')')?.1.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_live_and_still_may_are_remembered() {
        let far_unix = 32_503_680_000;
        let me = std::process::id();
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let dead = ended.id();
        // A process that is no more, whether collected already or not.
        while is_alive(dead) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut all = vec![
            Draining { pid: me, until_unix: far_unix },
            Draining { pid: me, until_unix: 1 },
            Draining { pid: dead, until_unix: far_unix },
        ];
        forget_ended(&mut all);
        assert_eq!(all, [Draining { pid: me, until_unix: far_unix }]);
        ended.wait().unwrap();
    }
}
