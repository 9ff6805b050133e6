//! Subscribing on behalf of a program that cannot do it itself: `suzerain announce`.
//!
//! Announces at start, soon after, and then at a steady pace; leaves the router the moment the
//! program ends or a signal says stop. It never carries traffic, so its own death costs nothing
//! but the lease.

mod arguments;
mod plan;
mod program;
mod server;
mod voice;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

pub use arguments::AnnounceArgs;
pub use plan::AnnounceError;
pub(crate) use voice::Voice;

use plan::Plan;
use program::Program;
use voice::accepts;

/// Pause between two looks whether the program accepts connections.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// The first announcements come faster: a router that starts together with us misses the first,
/// and one that saw us stop a moment ago refuses two (`subscribe` says why).
const EAGER_EVERY: Duration = Duration::from_secs(1);
/// How many pauses are that short.
const EAGER_PAUSES: usize = 2;

/// What can happen while we announce.
enum Event {
    /// Somebody sent us this signal.
    Signal(Signal),
    /// The program ended.
    Ended,
}

/// Why waiting was over.
enum Woken {
    /// The time came.
    Due,
    /// Told to stop.
    Stop(Signal),
    /// The program ended.
    Ended,
}

/// Announces until a signal, or the end of the program, says stop. Returns the program's status.
///
/// # Errors
/// Bad arguments, and everything that keeps it from starting.
pub fn run(args: &AnnounceArgs) -> Result<ExitCode, AnnounceError> {
    let plan = Plan::of(args)?;
    let mut voice = plan.voice()?;
    let (sender, events) = channel();
    listen_for_signals(sender.clone())?;
    let program = match plan.command.split_first() {
        Some((name, rest)) => Some(start(name, rest, sender)?),
        None => None,
    };
    let mut life = Life { plan, events, program, announced: false };
    let woken = life.announce(&mut voice);
    if life.announced {
        voice.unsubscribe();
        tracing::info!(keys = %life.plan.keys_text(), "unsubscribed");
    }
    Ok(life.end(woken))
}

fn start(name: &str, rest: &[String], ended: Sender<Event>) -> Result<Program, AnnounceError> {
    Program::start(name, rest, move || {
        // Nobody listens any more: we are ending anyway.
        let _ = ended.send(Event::Ended);
    })
    .map_err(|cause| AnnounceError::Program { name: name.to_owned(), cause })
}

fn listen_for_signals(events: Sender<Event>) -> Result<(), AnnounceError> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).map_err(AnnounceError::Signals)?;
    let listen = move || {
        for number in signals.forever() {
            let Ok(signal) = Signal::try_from(number) else { continue };
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .map(drop)
        .map_err(AnnounceError::Signals)
}

struct Life {
    plan: Plan,
    events: Receiver<Event>,
    program: Option<Program>,
    /// At least one announcement was sent.
    announced: bool,
}

impl Life {
    fn announce(&mut self, voice: &mut Voice) -> Woken {
        if self.program.is_some()
            && let Some(woken) = self.wait_until_accepting()
        {
            return woken;
        }
        let eager = EAGER_EVERY.min(self.plan.every);
        let mut pauses = std::iter::repeat_n(eager, EAGER_PAUSES);
        loop {
            voice.subscribe();
            if !self.announced {
                self.announced = true;
                tracing::info!(
                    keys = %self.plan.keys_text(), address = %self.plan.address, "subscribed"
                );
            }
            match self.sleep(pauses.next().unwrap_or(self.plan.every)) {
                Woken::Due => {}
                woken => return woken,
            }
        }
    }

    /// Looks until the program accepts connections; `None` if it does or the patience ended.
    fn wait_until_accepting(&self) -> Option<Woken> {
        let deadline = Instant::now() + self.plan.wait;
        while !accepts(&self.plan.address) {
            if Instant::now() >= deadline {
                tracing::warn!(
                    address = %self.plan.address, waited = ?self.plan.wait,
                    "the program does not accept connections yet; announcing it nevertheless"
                );
                return None;
            }
            match self.sleep(PROBE_EVERY) {
                Woken::Due => {}
                woken => return Some(woken),
            }
        }
        None
    }

    fn sleep(&self, pause: Duration) -> Woken {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => return Woken::Due,
                Ok(Event::Ended) => return Woken::Ended,
                // To a program SIGHUP often means "read your files again": it decides.
                Ok(Event::Signal(Signal::SIGHUP)) if self.program.is_some() => {
                    self.forward(Signal::SIGHUP);
                }
                Ok(Event::Signal(signal)) => return Woken::Stop(signal),
                Err(RecvTimeoutError::Disconnected) => return Woken::Stop(Signal::SIGTERM),
            }
        }
    }

    fn forward(&self, signal: Signal) {
        if let Some(program) = &self.program {
            program.signal(signal);
        }
    }

    /// Passes the signal on, waits for the program and takes over its status.
    fn end(mut self, woken: Woken) -> ExitCode {
        if let Woken::Stop(signal) = woken {
            self.forward(signal);
            while self.program.is_some() {
                match self.events.recv() {
                    Ok(Event::Signal(signal)) => self.forward(signal),
                    Ok(Event::Ended) | Err(_) => break,
                }
            }
        }
        match self.program.take() {
            Some(program) => program.status(),
            None => ExitCode::SUCCESS,
        }
    }
}

#[cfg(test)]
mod tests;
