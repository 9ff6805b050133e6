//! The options of the control socket and the audit log.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Socket, permissions, operators, audit log.
pub const CTL: &[OptFacts] = &[
    OptFacts {
        opt: Opt::Ctl,
        name: "ctl",
        shape: Shape::One,
        section: Section::Operation,
        value: "/PATH",
        default: "none",
        allowed: "/PATH of a unix socket in an existing directory",
        about: "Take commands of suzerain ctl here: see CTL.md. /run/suzerain/ctl.sock is where it \
             looks unless told otherwise.",
        cost: "Root, the router's user and the group ctl-operators may change the router; whoever \
             else may connect may only ask.",
        example: r#""/run/suzerain/ctl.sock""#,
    },
    OptFacts {
        opt: Opt::CtlMode,
        name: "ctl-mode",
        shape: Shape::One,
        section: Section::Operation,
        value: "MODE",
        default: "0600, or 0660 with ctl-group",
        allowed: "permissions as four octal digits from 0600 to 0666; with ctl",
        about: "Permissions of the control socket: who may connect at all.",
        cost: "",
        example: r#""0660""#,
    },
    OptFacts {
        opt: Opt::CtlGroup,
        name: "ctl-group",
        shape: Shape::One,
        section: Section::Operation,
        value: "GROUP",
        default: "that of the process",
        allowed: "the name or number of a group; with ctl",
        about: "Group of the control socket: its members may connect, and ask.",
        cost: "",
        example: r#""adm""#,
    },
    OptFacts {
        opt: Opt::CtlOperators,
        name: "ctl-operators",
        shape: Shape::One,
        section: Section::Operation,
        value: "GROUP",
        default: "none",
        allowed: "the name or number of a group; with ctl",
        about: "Members of this group may change the router through the control socket, if its \
             permissions let them connect.",
        cost: "",
        example: r#""wheel""#,
    },
    OptFacts {
        opt: Opt::AuditLog,
        name: "audit-log",
        shape: Shape::One,
        section: Section::Operation,
        value: "FILE",
        default: "memory only: the latest 1000 changes",
        allowed: "a file in an existing directory",
        about: "Append a line of JSON for every change of the running router: who, what, when and \
             with which outcome. Opened again by SIGUSR1.",
        cost: "",
        example: r#""/var/log/suzerain/audit.log""#,
    },
];
