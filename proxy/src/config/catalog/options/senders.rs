//! The options about who may subscribe, beyond signatures, and where that is kept.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Users, names and neighbours of subscriptions.
pub const SENDERS: &[OptFacts] = &[
    OptFacts {
        opt: Opt::VassalRequired,
        name: "vassal-required",
        shape: Shape::Switch,
        section: Section::Subscriptions,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Refuse subscriptions that do not name their vassal. uWSGI names it from 2.1 on, with \
             vassal= in subscribe2.",
        cost: "",
        example: "false",
    },
    OptFacts {
        opt: Opt::ToleranceInactive,
        name: "tolerance-inactive",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "SECONDS",
        default: "17s",
        allowed: "1s to 24h; a number without a unit counts seconds",
        about: "How long a vassal without an address is remembered without being announced again. \
             Its key gets 503 meanwhile, then 404.",
        cost: "",
        example: r#""17s""#,
    },
    OptFacts {
        opt: Opt::MulticastInterface,
        name: "multicast-interface",
        shape: Shape::Many,
        section: Section::Subscriptions,
        value: "IP",
        default: "where the routes of the kernel lead",
        allowed: "the IPv4 address of an interface of this machine",
        about: "Join the multicast groups among the subscribe addresses on the interface with this \
             address.",
        cost: "",
        example: r#"["127.0.0.1"]"#,
    },
    OptFacts {
        opt: Opt::Resubscribe,
        name: "resubscribe",
        shape: Shape::Many,
        section: Section::Subscriptions,
        value: "IP:PORT|/PATH",
        default: "none",
        allowed: "the subscription socket of another router: an IP:PORT or a /PATH; with sign-check; \
             at most 16",
        about: "Pass on to this router every subscription whose signature proved good and that \
             counted, for coming and leaving, byte for byte. It needs the same public keys, and \
             must reach the same addresses.",
        cost: "A copy per datagram and router. Up to 1024 datagrams wait for one that is behind.",
        example: r#"["10.0.0.8:7171"]"#,
    },
    OptFacts {
        opt: Opt::UseCredentials,
        name: "use-credentials",
        shape: Shape::Switch,
        section: Section::Subscriptions,
        value: "",
        default: "off",
        allowed: "true or false; every subscribe address must be a unix socket then",
        about: "Ask the kernel who sends each subscription. The process, user and group that \
             created a node are in the statistics; a sender the kernel does not vouch for is \
             refused.",
        cost: "",
        example: "true",
    },
    OptFacts {
        opt: Opt::SignSkipUid,
        name: "sign-skip-uid",
        shape: Shape::Many,
        section: Section::Subscriptions,
        value: "UID",
        default: "none",
        allowed: "the number of a user, not 0; with use-credentials and sign-check",
        about: "Take subscriptions of this user without a signature, and without looking at their \
             stamps if they have one.",
        cost: "Every process of that user can take over any site. Users of other user namespaces \
             count as 65534, so do not name that one.",
        example: r#"["33"]"#,
    },
    OptFacts {
        opt: Opt::CredentialsCheck,
        name: "credentials-check",
        shape: Shape::Many,
        section: Section::Subscriptions,
        value: "DIR",
        default: "none: any user may use any key",
        allowed: "an existing directory; with use-credentials",
        about: "Take a datagram for KEY only from the user and group that own DIR/KEY, where KEY is \
             the host of the key, every byte but letters, digits, ., - and _ replaced by _. One of \
             several directories is enough. Holds for leaving, too.",
        cost: "One look at the file system per datagram and directory.",
        example: r#"["/etc/suzerain/owners"]"#,
    },
    OptFacts {
        opt: Opt::StateFile,
        name: "state-file",
        shape: Shape::One,
        section: Section::Subscriptions,
        value: "FILE",
        default: "none: after a crash every node is gone until it announces itself again",
        allowed: "the path of a file in an existing directory that the router may write to",
        about: "Keep subscriptions in this file, so that a router that crashed or was restarted serves them \
         at once. Nodes that left, and nodes whose key file changed, do not come back. A file whose \
         router ended longer ago than tolerance counts no more. See OPERATING.md.",
        cost: "One write per turn of the subscription thread that changed something, and some 100 bytes \
         of disk per node, twice that while it is made short. The file holds the private keys that \
         subscriptions brought inline; only its owner can read it.",
        example: r#""/var/lib/suzerain/subscriptions.state""#,
    },
];
