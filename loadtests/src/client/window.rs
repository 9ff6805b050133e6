//! The course of a measurement, whatever the load: warm up, open the window, go on, close it.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;

use super::tally::Tally;
use super::{Mark, Plan};

/// What makes the load of one thread.
pub(super) trait Load {
    /// Goes on until `end`.
    ///
    /// # Errors
    /// When stopped from outside, or past [`super::ERRORS_MAX`] errors.
    fn turn_until(&mut self, end: Instant, stop: &AtomicBool) -> Result<()>;

    /// What it counts in.
    fn tally(&mut self) -> &mut Tally;
}

/// Runs `load` by the plan and returns what it counted within the window.
///
/// # Errors
/// As [`super::run`].
pub(super) fn measure(
    mut load: impl Load,
    plan: &Plan,
    stop: &AtomicBool,
    mut mark: impl FnMut(Mark) -> Result<()>,
) -> Result<Tally> {
    load.turn_until(Instant::now() + plan.warmup, stop)?;
    mark(Mark::Opens)?;
    let opened = Instant::now();
    *load.tally() = Tally::new()?;
    load.turn_until(opened + plan.window, stop)?;
    load.tally().window = opened.elapsed();
    mark(Mark::Closes)?;
    Ok(std::mem::replace(load.tally(), Tally::new()?))
}
