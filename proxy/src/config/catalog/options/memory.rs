//! The option about how much memory the router may use.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// The bound of memory.
pub const MEMORY: &[OptFacts] = &[OptFacts {
    opt: Opt::MemoryMax,
    name: "memory-max",
    shape: Shape::One,
    section: Section::Resources,
    value: "BYTES|auto|off",
    default: "auto: 90 % of the memory that the control group allows (memory.max, memory.high, or \
              memory.limit_in_bytes of version 1), or of the address space if that is limited and \
              nearer; nothing without such a limit",
    allowed: "a size from 16MiB as 512MiB or 2GiB, auto, or off",
    about: "Memory in use from which on new connections are closed at once, and announcements of new \
            nodes are refused; connections and nodes that are there go on. Below 95 % of it both are \
            welcome again. A size is compared with the anonymous memory of the process, a control \
            group's limit with what the group uses without pages of files; where others use most of it, \
            half of what they leave is the router's. See OPERATING.md.",
    cost: "A thread that looks ten times a second.",
    example: r#""auto""#,
}];
