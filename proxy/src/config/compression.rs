//! The options about compression, from text to the policy of a key.

use super::catalog::Opt;
use super::{units, values};
use crate::policy::{AutoGzip, Compression, MediaRule};

/// Sets an option of the section "Compression".
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(rules: &mut Compression, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::Compress => rules.offer(text)?,
        Opt::CompressTypes => rules.types.push(MediaRule::parse(text)?),
        Opt::CompressBytesMin => rules.bytes_min = units::bytes(text).ok_or("not a size")?,
        _ => {
            let on = values::switch(text)?;
            rules.auto_gzip = if on { AutoGzip::On } else { AutoGzip::Off };
        }
    }
    Ok(())
}
