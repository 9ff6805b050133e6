//! Which responses of one key are compressed.

use crate::compress::{Accepted, Coding};

/// The rules about compression.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compression {
    /// Codings offered, the preferred one first; none: responses are left as they are.
    pub codings: Vec<Coding>,
    /// Media types compressed.
    pub types: Vec<MediaRule>,
    /// Shortest stated body compressed, in bytes.
    pub bytes_min: u64,
    /// Whether a node may ask for it with `uWSGI-Encoding: gzip`.
    pub auto_gzip: AutoGzip,
}

/// Whether a node may ask for compression.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AutoGzip {
    /// Its field is passed on like any other.
    #[default]
    Off,
    /// Its field is taken out and obeyed.
    On,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            codings: Vec::new(),
            types: DEFAULT_TYPES.iter().flat_map(|text| MediaRule::parse(text)).collect(),
            bytes_min: BYTES_MIN_DEFAULT,
            auto_gzip: AutoGzip::Off,
        }
    }
}

impl Compression {
    /// Whether any response can be compressed.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.codings.is_empty() || self.auto_gzip == AutoGzip::On
    }

    /// Adds a coding to those offered; `off` takes all away.
    ///
    /// # Errors
    /// It is none.
    pub fn offer(&mut self, text: &str) -> Result<(), String> {
        if text == "off" {
            self.codings.clear();
            return Ok(());
        }
        let coding = Coding::named(text).ok_or("no such coding")?;
        self.codings.push(coding);
        Ok(())
    }

    /// Whether a body of this `Content-Type` is compressed.
    #[must_use]
    pub fn has_type(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
        let media = content_type[..end].trim_ascii();
        self.types.iter().any(|rule| rule.matches(media))
    }

    /// The coding for a client that accepts this.
    #[must_use]
    pub fn choose(&self, accepted: &Accepted) -> Option<Coding> {
        accepted.best(&self.codings)
    }
}

/// A media type, or all of a main type.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MediaRule {
    /// In lower case; for all of a main type it ends in the slash.
    text: Box<str>,
}

impl MediaRule {
    /// Reads `text/html` or `text/*`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(legal);
        match text.split_once('/') {
            Some((main, "*")) if is_name(main) => {
                Ok(Self { text: format!("{}/", main.to_ascii_lowercase()).into() })
            }
            Some((main, sub)) if is_name(main) && is_name(sub) => {
                Ok(Self { text: text.to_ascii_lowercase().into() })
            }
            _ => Err("not a media type".to_owned()),
        }
    }

    fn matches(&self, media: &[u8]) -> bool {
        let text = self.text.as_bytes();
        match self.text.ends_with('/') {
            // Who wants event streams compressed names them.
            true => {
                let same =
                    media.get(..text.len()).is_some_and(|main| main.eq_ignore_ascii_case(text));
                same && !media.eq_ignore_ascii_case(b"text/event-stream")
            }
            false => media.eq_ignore_ascii_case(text),
        }
    }
}

/// Shortest stated body compressed unless set: below it the head outweighs what is saved.
pub const BYTES_MIN_DEFAULT: u64 = 1024;
/// Text, and formats that are text inside; pictures, sound and archives are compressed already.
pub const DEFAULT_TYPES: [&str; 16] = [
    "text/html",
    "text/plain",
    "text/css",
    "text/csv",
    "text/javascript",
    "text/markdown",
    "text/xml",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/wasm",
    "application/xhtml+xml",
    "application/xml",
    "application/rss+xml",
    "image/svg+xml",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_without_parameters_and_case() {
        let default = Compression::default();
        for yes in ["text/html", "Text/HTML; charset=utf-8", "application/json ;x", "image/svg+xml"]
        {
            assert!(default.has_type(yes.as_bytes()), "{yes}");
        }
        for no in ["", "text/html2", "image/png", "text/event-stream", "text", "xtext/html"] {
            assert!(!default.has_type(no.as_bytes()), "{no}");
        }
        let all_text = Compression { types: vec![MediaRule::parse("text/*").unwrap()], ..default };
        assert!(all_text.has_type(b"text/whatever") && !all_text.has_type(b"texty/x"));
        assert!(!all_text.has_type(b"text/event-stream"));
        let events = MediaRule::parse("text/event-stream").unwrap();
        assert!(Compression { types: vec![events], ..all_text }.has_type(b"text/event-stream"));
        for wrong in ["", "text", "*/*", "text/", "/html", "te xt/html", "text/html;q=1"] {
            assert!(MediaRule::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn off_takes_all_codings_away() {
        let mut rules = Compression::default();
        assert!(rules.offer("br").is_ok() && rules.offer("deflate").is_err());
        assert!(rules.offer("off").is_ok() && !rules.is_on());
    }
}
