//! The options about the line per request.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Where it goes and how it is written.
pub const ACCESS_LOG: &[OptFacts] = &[
    OptFacts {
        opt: Opt::AccessLog,
        name: "access-log",
        shape: Shape::One,
        section: Section::Operation,
        value: "FILE|-|off",
        default: "off",
        allowed: "off, - for standard output, or the path of a file in an existing directory",
        about: "One line per request. Lines are dropped and counted when the writer cannot follow.",
        cost: "One formatted line per request.",
        example: r#""/var/log/suzerain/access.log""#,
    },
    OptFacts {
        opt: Opt::AccessLogFormat,
        name: "access-log-format",
        shape: Shape::One,
        section: Section::Operation,
        value: "FORMAT",
        default: "logfmt",
        allowed: "logfmt or json",
        about: "How a line of the access log is written: name=value pairs, or a JSON object with the same \
             fields. See OPERATING.md.",
        cost: "",
        example: r#""json""#,
    },
];
