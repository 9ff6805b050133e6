//! The new side: is given everything bound, says when it is prepared, and starts with the old one's memory.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    time::{Duration, SystemTime},
};

use nix::unistd::dup2_stdin;
use router_core::estate::{Estate, Stranger};

use super::{
    Memory,
    channel::{Channel, ChannelError},
    message::{FromPredecessor, FromSuccessor, PROTOCOL, decode, encode},
    predecessor::VARIABLE,
};
use crate::systemd;

/// For each word of the old process, which has nothing to do but this.
const WORD_LIMIT: Duration = Duration::from_secs(60);

/// For the last word of the old process, with which it lets go.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// Why a process cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// The old process is gone, or is none.
    #[error("the process to take over from: {0}")]
    Channel(#[from] ChannelError),
    /// It says something else than it should.
    #[error("the process to take over from speaks out of turn")]
    Stranger,
    /// A socket of it is of no use.
    #[error("a socket of the process to take over from: {0}")]
    Socket(#[from] Stranger),
    /// Its memory cannot be read.
    #[error("the memory of the process to take over from: {0}")]
    Memory(#[source] io::Error),
    /// The system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// How a process begins: with nothing, with what a service manager gives, or as the successor of another.
#[derive(Debug, Default)]
pub struct Birth(Option<Heir>);

/// A process that takes over.
#[derive(Debug)]
pub struct Heir {
    channel: Channel,
    /// Process id of the other one, and when it ends at last; known with its memory.
    predecessor: Option<(u32, SystemTime)>,
}

/// The process before this one, which drains.
#[derive(Debug)]
pub struct Predecessor {
    /// Its process id.
    pub pid: u32,
    /// When it ends at last.
    pub until: SystemTime,
    /// Ends with it.
    pub channel: Channel,
}

impl Birth {
    /// Looks how this process was started. To be called before there are threads.
    ///
    /// # Errors
    /// [`SuccessionError`] if it is to take over and cannot.
    pub fn begin() -> Result<(Self, Estate), SuccessionError> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok((Self(None), systemd::given()));
        }
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
        let (heir, estate) = Heir::greet(Channel::of(stdin))?;
        Ok((Self(Some(heir)), estate))
    }

    /// Says that nothing but the memory is missing, and waits for it. A first start has none.
    ///
    /// # Errors
    /// [`SuccessionError`]
    pub fn prepared(&mut self) -> Result<Memory, SuccessionError> {
        self.0.as_mut().map_or_else(|| Ok(Memory::default()), Heir::prepared)
    }

    /// Says that this process serves. From now on it answers for everything.
    pub fn serving(mut self) -> Option<Predecessor> {
        let heir = self.0.take()?;
        heir.serving()
    }

    /// Says why this process cannot take over.
    pub fn failed(&self, why: &str) {
        if let Some(heir) = &self.0 {
            heir.failed(why);
        }
    }
}

impl Heir {
    /// Introduces itself, and is given the sockets.
    ///
    /// # Errors
    /// [`SuccessionError`]
    pub fn greet(channel: Channel) -> Result<(Self, Estate), SuccessionError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        channel.send(&encode(&FromSuccessor::Hello { protocol: PROTOCOL, version }), &[])?;
        let estate = Estate::default();
        loop {
            let received = channel.receive(WORD_LIMIT)?;
            let FromPredecessor::Sockets { owners, more } = hear(&received.bytes)? else {
                return Err(SuccessionError::Stranger);
            };
            if owners.len() != received.fds.len() {
                return Err(SuccessionError::Stranger);
            }
            for (fd, owner) in received.fds.into_iter().zip(owners) {
                estate.inherit(fd, owner.into())?;
            }
            if !more {
                return Ok((Self { channel, predecessor: None }, estate));
            }
        }
    }

    /// See [`Birth::prepared`].
    ///
    /// # Errors
    /// [`SuccessionError`]
    pub fn prepared(&mut self) -> Result<Memory, SuccessionError> {
        self.channel.send(&encode(&FromSuccessor::Prepared), &[])?;
        let mut received = self.channel.receive(WORD_LIMIT)?;
        let FromPredecessor::Memory { parts, drain_s, pid } = hear(&received.bytes)? else {
            return Err(SuccessionError::Stranger);
        };
        let file = received.fds.pop().ok_or(SuccessionError::Stranger)?;
        let memory = Memory::read(parts, file).map_err(SuccessionError::Memory)?;
        let until = SystemTime::now() + Duration::from_secs(drain_s);
        self.predecessor = Some((pid, until));
        Ok(memory)
    }

    /// See [`Birth::serving`].
    pub fn serving(self) -> Option<Predecessor> {
        // If the old process is gone by now, this one serves all the more.
        let _ = self.channel.send(&encode(&FromSuccessor::Serving), &[]);
        // Before that word, a service manager would not listen to this one.
        let _ = self.channel.receive(RELEASE_LIMIT);
        let (pid, until) = self.predecessor?;
        Some(Predecessor { pid, until, channel: self.channel })
    }

    /// See [`Birth::failed`].
    pub fn failed(&self, why: &str) {
        let why = why.chars().take(WHY_CHARS_MAX).collect();
        let _ = self.channel.send(&encode(&FromSuccessor::Failed { why }), &[]);
    }
}

/// Of a reason that is passed on.
const WHY_CHARS_MAX: usize = 2000;

fn hear(bytes: &[u8]) -> Result<FromPredecessor, SuccessionError> {
    decode(bytes).map_err(|_| SuccessionError::Stranger)
}
