//! What a new thread learns of the time before it: from its predecessor, or from the state file.

use subscribe::state::StateError;
use subscribe::{Carried, KeyFiles, Now, Registry, Restored};

use super::pause::CatchUp;
use super::state_file::StateFile;
use crate::wall_clock::unix_now;

/// Fills the registry with what is known and says whether datagrams wait in the kernel.
///
/// # Errors
/// If what was handed over cannot be read: the predecessor is better left running. A state file that
/// cannot be read is only left aside.
pub(super) fn learn(
    registry: &mut Registry,
    keys: &mut dyn KeyFiles,
    now: Now,
    lease_ms: u64,
    (handed_over, state_file): (Option<Vec<u8>>, Option<&StateFile>),
) -> Result<CatchUp, StateError> {
    let mut catch_up = CatchUp::default();
    let mut restored = Restored::default();
    if let Some(state) = handed_over {
        restored = registry.restore(now, Carried::HandedOver, &state, keys)?;
        catch_up = CatchUp::begin(now);
        let Restored { nodes, refused, .. } = restored;
        tracing::info!(nodes, refused, "subscriptions of the predecessor taken over");
    } else if let Some(state) = state_file.and_then(|file| file.read(lease_ms)) {
        match registry.restore(now, Carried::LeftBehind, &state, keys) {
            Ok(Restored { nodes, refused, .. }) => {
                tracing::info!(nodes, refused, "subscriptions restored from the state file");
            }
            Err(error) => tracing::warn!("state file is not used: {error}"),
        }
    }
    if !restored.replay {
        // Nobody knows which stamps the last process accepted, so none from its time counts.
        registry.raise_replay_floor(unix_now().saturating_sub(1));
    }
    Ok(catch_up)
}
