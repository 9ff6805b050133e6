//! The options that a running router cannot change: a reload names them and applies the rest.
//!
//! An option that is not in the table is live, and `reload::live` says who applies it. An upgrade starts a new process, which reads all of
//! them.

use super::Settings;
use super::catalog::Opt;

/// An option that holds for as long as the process runs.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// The option.
    pub opt: Opt,
    /// Why it cannot change, after "because".
    pub because: &'static str,
    keep: fn(&mut Settings, &Settings),
}

impl Fixed {
    /// Leaves the option in `next` as it is in `now`.
    pub fn keep(&self, next: &mut Settings, now: &Settings) {
        (self.keep)(next, now);
        next.told.keep(self.opt, &now.told);
    }
}

impl Opt {
    /// Why a running router cannot change this option; `None` if it can.
    #[must_use]
    pub fn fixed(self) -> Option<&'static Fixed> {
        FIXED.iter().find(|fixed| fixed.opt == self)
    }
}

/// All of them.
pub const FIXED: &[Fixed] = &[
    Fixed {
        opt: Opt::Workers,
        because: "threads and their sockets are made once",
        keep: |next, now| next.workers = now.workers,
    },
    Fixed {
        opt: Opt::Io,
        because: "every connection lives on the driver it began with",
        keep: |next, now| next.io = now.io,
    },
    Fixed {
        opt: Opt::EmperorSocket,
        because: "the thread that asks the emperor keeps one socket",
        keep: |next, now| next.waking.emperor.clone_from(&now.waking.emperor),
    },
    Fixed {
        opt: Opt::Otlp,
        because: "what brings spans to the collector is made once",
        keep: |next, now| next.traces.endpoint.clone_from(&now.traces.endpoint),
    },
    Fixed {
        opt: Opt::TraceSample,
        because: "what brings spans to the collector is made once",
        keep: |next, now| next.traces.ratio = now.traces.ratio,
    },
    Fixed {
        opt: Opt::TraceClientRate,
        because: "what brings spans to the collector is made once",
        keep: |next, now| next.traces.client_rate = now.traces.client_rate,
    },
    Fixed {
        opt: Opt::User,
        because: "powers that were given up do not come back",
        keep: |next, now| next.privileges.user.clone_from(&now.privileges.user),
    },
    Fixed {
        opt: Opt::Group,
        because: "powers that were given up do not come back",
        keep: |next, now| next.privileges.group = now.privileges.group,
    },
    Fixed {
        opt: Opt::KeepCapabilities,
        because: "powers that were given up do not come back",
        keep: |next, now| next.privileges.keep.clone_from(&now.privileges.keep),
    },
    Fixed {
        opt: Opt::Seccomp,
        because: "a filter of system calls cannot be taken off",
        keep: |next, now| next.privileges.seccomp = now.privileges.seccomp,
    },
    Fixed {
        opt: Opt::MulticastInterface,
        because: "groups are joined when a socket is bound",
        keep: |next, now| {
            next.senders.multicast_interface.clone_from(&now.senders.multicast_interface);
        },
    },
    Fixed {
        opt: Opt::Ctl,
        because: "its thread serves one socket",
        keep: |next, now| next.ctl.path.clone_from(&now.ctl.path),
    },
    Fixed {
        opt: Opt::CtlMode,
        because: "its thread serves one socket",
        keep: |next, now| next.ctl.mode = now.ctl.mode,
    },
    Fixed {
        opt: Opt::CtlGroup,
        because: "its thread serves one socket",
        keep: |next, now| next.ctl.group = now.ctl.group,
    },
    Fixed {
        opt: Opt::CtlOperators,
        because: "its thread serves one socket",
        keep: |next, now| next.ctl.operators = now.ctl.operators,
    },
    Fixed {
        opt: Opt::AuditLog,
        because: "what was changed stays in one file",
        keep: |next, now| next.ctl.audit_log.clone_from(&now.ctl.audit_log),
    },
    Fixed {
        opt: Opt::StateFile,
        because: "it holds what changed since the start",
        keep: |next, now| next.senders.state_file.clone_from(&now.senders.state_file),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_no_difference_any_more() {
        let mut now = Settings { workers: 2, ..Settings::default() };
        now.told.note(Opt::Workers, "2");
        let mut next = Settings { workers: 4, ..Settings::default() };
        next.told.note(Opt::Workers, "4");
        next.told.note(Opt::Via, "off");
        assert_eq!(now.told.differences(&next.told).collect::<Vec<_>>(), [Opt::Workers, Opt::Via]);
        Opt::Workers.fixed().unwrap().keep(&mut next, &now);
        assert_eq!(next.workers, 2);
        assert_eq!(now.told.differences(&next.told).collect::<Vec<_>>(), [Opt::Via]);
    }

    #[test]
    fn no_option_of_a_key_is_fixed() {
        for fixed in FIXED {
            assert_eq!(fixed.opt.scope(), crate::config::catalog::Scope::Router);
            assert_eq!(FIXED.iter().filter(|other| other.opt == fixed.opt).count(), 1);
        }
    }
}
