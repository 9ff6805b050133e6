//! What the options of section "RTSP and streams" mean.

use super::catalog::Opt;
use super::values;
use crate::policy::streams::{Streams, Switch};

/// Sets an option of the section.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(rules: &mut Streams, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::Rtsp => rules.rtsp = on_or_off(text)?,
        _ => return Err("no option of this section".to_owned()),
    }
    Ok(())
}

fn on_or_off(text: &str) -> Result<Switch, String> {
    values::switch(text).map(|on| if on { Switch::On } else { Switch::Off })
}
