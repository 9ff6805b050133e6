//! The options about who may look at the admin socket.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Tokens, and the tables of tenants.
pub const SEEING: &[OptFacts] = &[
    OptFacts {
        opt: Opt::AdminAuth,
        name: "admin-auth",
        shape: Shape::One,
        section: Section::Operation,
        value: "WHEN",
        default: "required if any token is configured, else optional",
        allowed: "required or optional",
        about: "Whether the admin socket answers those who show no token. The paths /, /dashboard, \
             /healthz and /readyz, which tell nothing of sites, always answer. A wrong token is refused \
             either way. See SEEING.md.",
        cost: "",
        example: r#""required""#,
    },
    OptFacts {
        opt: Opt::AdminTokenFile,
        name: "admin-token-file",
        shape: Shape::Many,
        section: Section::Operation,
        value: "FILE",
        default: "none",
        allowed: "a file that holds one token of 16 to 512 visible ASCII characters, readable by its \
             owner and group alone",
        about: "Show everything to who sends the token in this file, as Authorization: Bearer TOKEN. \
             It is read at start and at every reload.",
        cost: "",
        example: r#"["/etc/suzerain/operator.token"]"#,
    },
    OptFacts {
        opt: Opt::AdminTokenSha256,
        name: "admin-token-sha256",
        shape: Shape::Many,
        section: Section::Operation,
        value: "HEX",
        default: "none",
        allowed: "64 hexadecimal digits: the SHA-256 of the token, as printf %s TOKEN | sha256sum says it",
        about: "The same without the token itself being on this machine.",
        cost: "",
        example: r#"["2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"]"#,
    },
    OptFacts {
        opt: Opt::TenantKeys,
        name: "keys",
        shape: Shape::Many,
        section: Section::Tenants,
        value: "KEY|.SUFFIX",
        default: "none; every table needs at least one",
        allowed: "a key as nodes announce it, or a suffix such as .shop.example; at most 1000",
        about: "The keys this tenant sees. A name is that key alone; a suffix is every key whose host \
             ends so, with any port and mountpoint.",
        cost: "",
        example: r#"["shop.example", ".shop.example"]"#,
    },
    OptFacts {
        opt: Opt::TenantTokenFile,
        name: "token-file",
        shape: Shape::Many,
        section: Section::Tenants,
        value: "FILE",
        default: "none; every table needs a token",
        allowed: "a file as for admin-token-file",
        about: "The token of this tenant is in this file. It is read at start and at every reload.",
        cost: "",
        example: r#"["/etc/suzerain/tenants/shop.token"]"#,
    },
    OptFacts {
        opt: Opt::TenantTokenSha256,
        name: "token-sha256",
        shape: Shape::Many,
        section: Section::Tenants,
        value: "HEX",
        default: "none; every table needs a token",
        allowed: "64 hexadecimal digits, as for admin-token-sha256",
        about: "The SHA-256 of the token of this tenant. Several hold while one is being replaced.",
        cost: "",
        example: r#"["1f0e3dad99908345f7439f8ffabdffc4b7b8a9d5a1b8e0c4e6ad0a1d5f1a2b3c"]"#,
    },
];
