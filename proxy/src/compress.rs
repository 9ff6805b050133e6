//! Content codings of responses: which one a client takes, and the encoders.
//!
//! Knows no connection and no framing: payload goes in, coded payload comes out. Called by the
//! response pump, whatever the client speaks.

mod encoder;
mod negotiate;

use router_core::metrics::Counter;

pub use encoder::Encoder;
pub use negotiate::Accepted;

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `br` (RFC 7932)
    Brotli,
    /// `zstd` (RFC 8878)
    Zstd,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Brotli, Self::Zstd];

    /// As it stands in `Content-Encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// What counts responses in it.
    #[must_use]
    pub const fn counter(self) -> Counter {
        match self {
            Self::Gzip => Counter::CompressedGzip,
            Self::Brotli => Counter::CompressedBrotli,
            Self::Zstd => Counter::CompressedZstd,
        }
    }

    /// The coding of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|coding| coding.name() == name)
    }
}
