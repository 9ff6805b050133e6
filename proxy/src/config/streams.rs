//! What the options of section "RTSP and streams" mean.

use router_core::deadline::GoneWhen;

use super::catalog::Opt;
use super::values;
use crate::policy::streams::{Chunks, Streams, Switch};

/// Sets an option of the section.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(rules: &mut Streams, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::Rtsp => rules.rtsp = on_or_off(text)?,
        Opt::ManageSource => rules.source = on_or_off(text)?,
        Opt::AbortOnClose => {
            let on = values::switch(text)?;
            rules.gone_when = if on { GoneWhen::Finished } else { GoneWhen::Reset };
        }
        Opt::UwsgiChunked => {
            rules.uwsgi_chunked = match text {
                "hold" => Chunks::Held,
                "raw" => Chunks::Raw,
                _ => return Err("neither hold nor raw".to_owned()),
            };
        }
        _ => return Err("no option of this section".to_owned()),
    }
    Ok(())
}

fn on_or_off(text: &str) -> Result<Switch, String> {
    values::switch(text).map(|on| if on { Switch::On } else { Switch::Off })
}
