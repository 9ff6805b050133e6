//! The options about what the process may do once it serves.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// The account to become, what of root's powers is kept, and the system calls.
pub const PRIVILEGES: &[OptFacts] = &[
    OptFacts {
        opt: Opt::User,
        name: "user",
        shape: Shape::One,
        section: Section::Privileges,
        value: "NAME",
        default: "none: the process stays what it was started as",
        allowed: "the name or number of an existing user other than root",
        about: "Become this user, with its groups, once everything is bound and certificates are \
             read, before the first request. The start must be root's, or this user's own. See \
             SANDBOX.md.",
        cost: "Whatever is opened later, such as renewed certificates, keys and rotated logs, must \
             be open to this user.",
        example: r#""suzerain""#,
    },
    OptFacts {
        opt: Opt::Group,
        name: "group",
        shape: Shape::One,
        section: Section::Privileges,
        value: "NAME",
        default: "the first group of the user",
        allowed: "the name or number of an existing group",
        about: "Have this group as the first one. Needs user.",
        cost: "",
        example: r#""suzerain""#,
    },
    OptFacts {
        opt: Opt::KeepCapabilities,
        name: "keep-capabilities",
        shape: Shape::Many,
        section: Section::Privileges,
        value: "NAME",
        default: "none",
        allowed: "net-bind-service or net-admin",
        about: "Keep this power of root's when becoming the user, if the start had it: \
             net-bind-service to bind ports below 1024 in a reload or an upgrade, net-admin for the \
             full receive buffer of subscription sockets bound then. Needs user.",
        cost: "Whoever takes over the process has it too.",
        example: r#"["net-bind-service"]"#,
    },
    OptFacts {
        opt: Opt::Seccomp,
        name: "seccomp",
        shape: Shape::One,
        section: Section::Privileges,
        value: "on|log|off",
        default: "off; the packages turn it on",
        allowed: "on, log or off",
        about: "Once everything is bound, allow the system calls that SYSCALLS.md lists and no others: \
             on ends the process at any other, log has the kernel write it to its audit log. See \
             SANDBOX.md.",
        cost: "An upgrade to a program that needs another call has to be a restart.",
        example: r#""on""#,
    },
];
