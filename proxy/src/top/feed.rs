//! Looks at the router, one at a time, and what two of them say together.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::TopError;
use super::figures::Figures;
use super::keyboard::Asked;
use crate::cli::ask::Admin;
use crate::stats::overview::Overview;

/// Looks kept: rates and percentiles are of this many intervals.
const LOOKS_MAX: usize = 5;

/// Where looks come from.
pub(super) struct Feed {
    admin: Arc<Admin>,
    looks: Vec<Overview>,
    under_way: Option<Receiver<Result<Overview, TopError>>>,
    problem: Option<String>,
}

impl Feed {
    pub(super) fn new(admin: Admin) -> Self {
        Self { admin: Arc::new(admin), looks: Vec::new(), under_way: None, problem: None }
    }

    /// Takes a look and waits for it.
    pub(super) fn look(&mut self, asked: &Asked) -> Result<(), TopError> {
        let overview = ask(&self.admin, &asked.target())?;
        self.keep(overview);
        Ok(())
    }

    /// Begins to look on a thread of its own, and says so, unless a look is under way: a
    /// router that does not answer must not keep the keyboard waiting.
    pub(super) fn begins(&mut self, asked: &Asked) -> bool {
        if self.under_way.is_some() {
            return false;
        }
        let (answer, answered) = channel();
        let (admin, target) = (Arc::clone(&self.admin), asked.target());
        std::thread::spawn(move || {
            // Whoever left does not miss it.
            let _ = answer.send(ask(&admin, &target));
        });
        self.under_way = Some(answered);
        true
    }

    /// Takes the answer, if it is there.
    pub(super) fn take(&mut self) {
        let Some(answered) = &self.under_way else { return };
        match answered.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(Ok(overview)) => {
                self.problem = None;
                self.keep(overview);
            }
            Ok(Err(error)) => self.problem = Some(error.to_string()),
            Err(TryRecvError::Disconnected) => {}
        }
        self.under_way = None;
    }

    /// Numbers of the latest look; `None` before the first.
    pub(super) fn figures(&self) -> Option<Figures> {
        let (latest, earlier) = self.looks.split_last()?;
        Some(Figures::of(latest, earlier.first()))
    }

    /// Why the latest look failed.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn keep(&mut self, overview: Overview) {
        // Counters of another process are not comparable.
        if self.looks.last().is_some_and(|last| !overview.continues(last)) {
            self.looks.clear();
        }
        if self.looks.len() == LOOKS_MAX {
            self.looks.remove(0);
        }
        self.looks.push(overview);
    }
}

fn ask(admin: &Admin, target: &str) -> Result<Overview, TopError> {
    Ok(serde_json::from_str(&admin.ask(target)?)?)
}
