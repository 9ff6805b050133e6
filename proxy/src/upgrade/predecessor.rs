//! The old side: starts the new process, gives it everything, and lets go only when it serves.

use std::{
    fmt, io,
    os::fd::AsFd,
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use router_core::estate::Estate;

use super::{
    Launch, Memory,
    channel::{Channel, ChannelError, DESCRIPTORS_MAX, Received},
    message::{FromPredecessor, FromSuccessor, PROTOCOL, decode, encode},
};

/// Set for a process that is to take over by its standard input.
pub const VARIABLE: &str = "SUZERAIN_SUCCESSOR";
/// For the start of the program and its configuration.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// For its certificates, which may be many.
const PREPARE_LIMIT: Duration = Duration::from_secs(120);
/// From the freeze on. Datagrams wait in the kernel meanwhile, which has room for some.
const SERVE_LIMIT: Duration = Duration::from_secs(15);
/// How often a wait looks whether this process is to end itself.
const LOOK: Duration = Duration::from_millis(50);
/// How long a process that closed the channel may take to end by itself.
const END_LIMIT: Duration = Duration::from_secs(1);

/// What a new process is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Its first word.
    Hello,
    /// That it needs nothing but the memory.
    Prepare,
    /// That it accepts.
    Serve,
}

impl Step {
    const fn limit(self) -> Duration {
        match self {
            Self::Hello => HELLO_LIMIT,
            Self::Prepare => PREPARE_LIMIT,
            Self::Serve => SERVE_LIMIT,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Hello => "before it had read its configuration",
            Self::Prepare => "before it was prepared",
            Self::Serve => "before it served",
        })
    }
}

/// Why this process goes on serving. Everything is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The program cannot be started.
    #[error("{path} cannot be started: {cause}")]
    Launch {
        /// Of the program.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// The new process ended.
    #[error("the new process ended {step}{}", status.map(|status| format!(" ({status})")).unwrap_or_default())]
    Ended {
        /// When.
        step: Step,
        /// How, if it did by itself.
        status: Option<ExitStatus>,
    },
    /// The new process hangs.
    #[error("the new process said nothing within {} s, {step}", step.limit().as_secs())]
    Silent {
        /// Since when.
        step: Step,
    },
    /// The new process gave up.
    #[error("the new process gave up: {why}")]
    Failed {
        /// What it said.
        why: String,
    },
    /// The new process is something else.
    #[error("the new process speaks out of turn, {step}")]
    Stranger {
        /// When.
        step: Step,
    },
    /// The new process speaks another version.
    #[error("the new process ({version}) speaks version {theirs} of this, and not {PROTOCOL}")]
    Version {
        /// Of the program.
        version: String,
        /// Of the conversation.
        theirs: u32,
    },
    /// The memory cannot be passed on.
    #[error("the subscriptions cannot be passed on: {0}")]
    Freeze(String),
    /// This process was told to end.
    #[error("this process was told to end")]
    Interrupted,
    /// The system refused.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// What the new process gets from this one.
pub struct Offer<'o> {
    /// The bound sockets.
    pub estate: &'o Estate,
    /// Stops learning, and writes down what is known.
    pub freeze: &'o dyn Fn() -> Result<Memory, String>,
    /// Goes on learning.
    pub thaw: &'o dyn Fn(),
    /// How long this process may drain.
    pub drain: Duration,
}

/// A new process that serves.
#[derive(Debug)]
pub struct Handed {
    /// Its process id.
    pub pid: u32,
    /// Of its program.
    pub version: String,
    /// Closes with this process, which tells the new one of its end.
    pub channel: Channel,
}

impl Handed {
    /// Tells the new process that everybody knows of it.
    pub fn release(&self) {
        // Nothing depends on it but who is told what in which order.
        let _ = self.channel.send(&encode(&FromPredecessor::Released), &[]);
    }

    /// Tells the new process that only tunnels are left here, so that it need not wait for the end of
    /// this one before it is replaced itself.
    pub fn linger(&self) {
        let _ = self.channel.send(&encode(&FromPredecessor::Lingers), &[]);
    }
}

/// Starts `launch` and hands everything over to it.
///
/// `is_ending` is asked now and then whether this process has to end itself.
///
/// # Errors
/// [`UpgradeError`]; the new process has ended then, and this one is as it was.
pub fn hand_over(
    launch: &Launch,
    offer: &Offer<'_>,
    is_ending: &mut dyn FnMut() -> bool,
) -> Result<Handed, UpgradeError> {
    let (channel, far) = Channel::pair()?;
    let mut command = launch.command();
    command.env(VARIABLE, "stdin").stdin(Stdio::from(far));
    let child = command.spawn().map_err(|cause| UpgradeError::Launch {
        path: launch.path().display().to_string(),
        cause,
    })?;
    // It has the only handle of the other end then, so the end of the process is heard.
    drop(command);
    let mut started = Started(Some(child));
    let mut conversation = Conversation { channel, offer, is_ending };
    match conversation.hold() {
        Ok(version) => {
            let pid = started.0.take().map_or(0, |child| child.id());
            Ok(Handed { pid, version, channel: conversation.channel })
        }
        Err(UpgradeError::Ended { step, .. }) => {
            Err(UpgradeError::Ended { step, status: started.status() })
        }
        Err(error) => Err(error),
    }
}

/// The new process, ended if this is dropped with it.
struct Started(Option<Child>);

impl Started {
    fn status(&mut self) -> Option<ExitStatus> {
        let child = self.0.as_mut()?;
        let due = Instant::now() + END_LIMIT;
        while Instant::now() < due {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct Conversation<'c, 'o> {
    channel: Channel,
    offer: &'c Offer<'o>,
    is_ending: &'c mut dyn FnMut() -> bool,
}

/// Thaws when it is dropped.
struct Frozen<'o>(Option<&'o dyn Fn()>);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Some(thaw) = self.0 {
            thaw();
        }
    }
}

impl Conversation<'_, '_> {
    /// Returns the version of the new program, which serves.
    fn hold(&mut self) -> Result<String, UpgradeError> {
        let version = self.greet()?;
        self.send_sockets()?;
        let FromSuccessor::Prepared = self.hear(Step::Prepare)? else {
            return Err(UpgradeError::Stranger { step: Step::Prepare });
        };
        let frozen = (self.offer.freeze)().map_err(UpgradeError::Freeze);
        let mut thaw = Frozen(Some(self.offer.thaw));
        self.send_memory(&frozen?)?;
        let FromSuccessor::Serving = self.hear(Step::Serve)? else {
            return Err(UpgradeError::Stranger { step: Step::Serve });
        };
        thaw.0 = None;
        Ok(version)
    }

    fn greet(&mut self) -> Result<String, UpgradeError> {
        match self.hear(Step::Hello)? {
            FromSuccessor::Hello { protocol: PROTOCOL, version } => Ok(version),
            FromSuccessor::Hello { protocol, version } => {
                Err(UpgradeError::Version { version, theirs: protocol })
            }
            _ => Err(UpgradeError::Stranger { step: Step::Hello }),
        }
    }

    fn send_sockets(&self) -> Result<(), UpgradeError> {
        let sockets = self.offer.estate.bequeath()?;
        let mut left = sockets.len();
        // One message also if there is nothing to send.
        let chunks = sockets.chunks(DESCRIPTORS_MAX);
        let nothing: &[_] = &[];
        let chunks = chunks.chain((sockets.is_empty()).then_some(nothing));
        for chunk in chunks {
            left -= chunk.len();
            let owners = chunk.iter().map(|bequest| bequest.owner.into()).collect();
            let message = FromPredecessor::Sockets { owners, more: left > 0 };
            let fds: Vec<_> = chunk.iter().map(|bequest| bequest.socket.as_fd()).collect();
            let sent = self.channel.send(&encode(&message), &fds);
            sent.map_err(|error| without_word(error, Step::Prepare))?;
        }
        Ok(())
    }

    fn send_memory(&self, memory: &Memory) -> Result<(), UpgradeError> {
        let (parts, file) = memory.write()?;
        let drain_s = self.offer.drain.as_secs();
        let message = FromPredecessor::Memory { parts, drain_s, pid: std::process::id() };
        let sent = self.channel.send(&encode(&message), &[file.as_fd()]);
        sent.map_err(|error| without_word(error, Step::Serve))
    }

    /// The next word of the new process.
    fn hear(&mut self, step: Step) -> Result<FromSuccessor, UpgradeError> {
        let due = Instant::now() + step.limit();
        loop {
            if (self.is_ending)() {
                return Err(UpgradeError::Interrupted);
            }
            match self.channel.receive(LOOK) {
                Ok(Received { bytes, .. }) => {
                    let said = decode(&bytes).map_err(|_| UpgradeError::Stranger { step })?;
                    return match said {
                        FromSuccessor::Failed { why } => Err(UpgradeError::Failed { why }),
                        said => Ok(said),
                    };
                }
                Err(ChannelError::Silent(_)) if Instant::now() < due => {}
                Err(error) => return Err(without_word(error, step)),
            }
        }
    }
}

fn without_word(error: ChannelError, step: Step) -> UpgradeError {
    match error {
        ChannelError::Ended => UpgradeError::Ended { step, status: None },
        ChannelError::Silent(_) => UpgradeError::Silent { step },
        ChannelError::Oversize => UpgradeError::Stranger { step },
        ChannelError::System(error) => UpgradeError::System(error),
    }
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
