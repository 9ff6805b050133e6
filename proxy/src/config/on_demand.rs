//! What the options about vassals on demand mean.

use router_core::address::ListenAddr;

use super::catalog::Opt;
use super::{limits, values};
use crate::policy::on_demand::OnDemand;

/// Vassals on demand, as far as it is the same for all keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waking {
    /// Where the emperor takes commands; `None`: nobody wakes anything.
    pub emperor: Option<ListenAddr>,
    /// Requests that may wait in the whole router, whatever their keys.
    pub waiting_max: usize,
}

impl Default for Waking {
    fn default() -> Self {
        Self { emperor: None, waiting_max: limits::WAKE_TOTAL_DEFAULT }
    }
}

/// Sets an option that holds for the whole router.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set_router(waking: &mut Waking, opt: Opt, text: &str) -> Result<(), String> {
    if opt == Opt::EmperorSocket {
        waking.emperor = Some(values::datagram_target(text)?);
    } else {
        waking.waiting_max = values::number(text, 1, limits::CONNECTIONS_MAX)?;
    }
    Ok(())
}

/// Sets an option that may differ by key.
///
/// # Errors
/// Why the text is no value of the option.
pub fn set(rules: &mut OnDemand, opt: Opt, text: &str) -> Result<(), String> {
    if opt == Opt::WakeMax {
        rules.waiting_max = values::number(text, 0, limits::QUEUE_MAX as usize)? as u32;
    } else {
        rules.timeout = values::duration(text, limits::TIMEOUT_MIN, limits::TIMEOUT_MAX)?;
    }
    Ok(())
}
