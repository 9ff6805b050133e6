//! The options about fields and vars of one key, from text to their policy.

use super::catalog::Opt;
use super::{units, values};
use crate::policy::{HeaderPolicy, HttpsRedirect, ServerName, hsts};

/// Sets an option of the section "Headers" that has `Scope::Key`.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(headers: &mut HeaderPolicy, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::HttpsRedirect => headers.https_redirect = or_off(text, HttpsRedirect::parse)?,
        Opt::Hsts => headers.hsts = or_off(text, |text| hsts(text, units::duration))?,
        Opt::HttpVar => headers.add_http_var(text)?,
        Opt::ServerNameAsHttpHost => {
            let on = values::switch(text)?;
            headers.server_name = if on { ServerName::HttpHost } else { ServerName::Machine };
        }
        Opt::HttpModifier1 => headers.modifier1 = values::octet(text)?,
        Opt::SendProxy => headers.opening = values::opening(text)?,
        Opt::HttpModifier2 => headers.modifier2 = values::octet(text)?,
        _ => headers.expect_bytes_max = values::bytes_or_none(text)?,
    }
    Ok(())
}

/// A value, or nothing if the text is `off`.
fn or_off<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text == "off" { Ok(None) } else { read(text).map(Some) }
}
