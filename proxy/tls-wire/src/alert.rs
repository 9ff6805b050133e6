//! What is said to a client that cannot be served.

/// A fatal alert (6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alert {
    /// The message was not a ClientHello as it must be.
    DecodeError,
    /// Nobody serves that name, or none was given.
    UnrecognizedName,
    /// Somebody should, and does not.
    InternalError,
}

impl Alert {
    /// The record that says so. Every version of TLS reads it.
    #[must_use]
    pub const fn record(self) -> [u8; 7] {
        let description = match self {
            Self::DecodeError => 50,
            Self::InternalError => 80,
            Self::UnrecognizedName => 112,
        };
        [21, 3, 3, 0, 2, 2, description]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_one_fatal_record() {
        assert_eq!(Alert::UnrecognizedName.record(), [0x15, 3, 3, 0, 2, 2, 112]);
    }
}
