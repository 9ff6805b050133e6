//! What the options about traces mean.

use super::catalog::Opt;
use super::values;
use crate::traces::{ClientRate, TraceSettings, limits, post::Endpoint};

/// Sets one of them.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(traces: &mut TraceSettings, opt: Opt, text: &str) -> Result<(), String> {
    match opt {
        Opt::Otlp => traces.endpoint = Some(Endpoint::parse(text)?),
        Opt::TraceSample => traces.ratio = text.parse().map_err(str::to_owned)?,
        _ => {
            let rate = values::number(text, 0, limits::CLIENT_RATE_MAX as usize)?;
            traces.client_rate = ClientRate(rate as u32);
        }
    }
    Ok(())
}
