//! The options about compressed responses.

use crate::config::catalog::{Opt, OptFacts, Section, Shape};

/// Options of the section "Compression".
pub const COMPRESSION: &[OptFacts] = &[
    OptFacts {
        opt: Opt::Compress,
        name: "compress",
        shape: Shape::Many,
        section: Section::Compression,
        value: "CODING|off",
        default: "off",
        allowed: "gzip, br or zstd, the preferred one first; or off",
        about: "Compress responses with one of these codings, as the client's Accept-Encoding likes \
             it best.",
        cost: "CPU time of the worker, about 5 ms per MiB with zstd, 20 with gzip and 65 with br, and \
             0.4 to 1.5 MiB of memory per response under way, 64 MiB per worker at most. Pages that show a secret beside what a \
             client sent can be read by their length (BREACH): leave those keys out.",
        example: r#"["zstd", "gzip"]"#,
    },
    OptFacts {
        opt: Opt::CompressTypes,
        name: "compress-types",
        shape: Shape::Many,
        section: Section::Compression,
        value: "TYPE",
        default: "text/html, /plain, /css, /csv, /javascript, /markdown and /xml; \
             application/javascript, /json, /ld+json, /manifest+json, /wasm, /xhtml+xml, /xml and \
             /rss+xml; image/svg+xml",
        allowed: "a media type as text/html, or text/* for all of text but text/event-stream",
        about: "Media types that are compressed. Naming one replaces the default list.",
        cost: "",
        example: r#"["text/*", "application/json"]"#,
    },
    OptFacts {
        opt: Opt::CompressBytesMin,
        name: "compress-bytes-min",
        shape: Shape::One,
        section: Section::Compression,
        value: "BYTES",
        default: "1KiB",
        allowed: "a size as 256, 1KiB or 64KiB",
        about: "Shortest body that is compressed, if its length is stated.",
        cost: "",
        example: r#""1KiB""#,
    },
    OptFacts {
        opt: Opt::HttpAutoGzip,
        name: "http-auto-gzip",
        shape: Shape::Switch,
        section: Section::Compression,
        value: "",
        default: "off",
        allowed: "true or false",
        about: "Compress responses whose node asks for it with uWSGI-Encoding: gzip, whatever their \
             type and length. The field is taken out.",
        cost: "As compress.",
        example: "false",
    },
];
