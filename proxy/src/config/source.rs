//! Where a configuration is written, so that it can be read again.

use std::path::{Path, PathBuf};

use super::{ConfigError, Given, Program, Settings, load};

/// The file and the flags a router was started with.
#[derive(Clone, Debug)]
pub struct Source {
    program: Program,
    file: Option<PathBuf>,
    flags: Vec<Given>,
}

impl Source {
    /// `flags` stay what they are for as long as the process runs; the file does not.
    #[must_use]
    pub fn new(program: Program, file: Option<PathBuf>, flags: Vec<Given>) -> Self {
        Self { program, file, flags }
    }

    /// What they say now.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(&self) -> Result<Settings, ConfigError> {
        load(self.program, self.file.as_deref(), self.flags.clone())
    }

    /// The file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}
