//! `suzerain top`: what a running router does, in a terminal.
//!
//! Asks `/overview.json` of the admin socket every few seconds, as the dashboard does, so it works
//! over a unix socket and over ssh. Where nobody can press keys it prints one look and ends.

mod feed;
mod figures;
mod keyboard;
mod plain;
mod screen;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event;

use crate::cli::ask::{Admin, AskError};
use crate::config::values;
use feed::Feed;
use keyboard::{Asked, Next};
use screen::Screen;

/// Arguments of `top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// Admin socket of the running router: IP:PORT or /PATH.
    #[arg(long, value_name = "IP:PORT|/PATH", default_value = "127.0.0.1:9090")]
    pub admin: String,
    /// Show the router the token in this file.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Time between two looks, from 500ms to 1m; a single look needs 2s for the rates of keys.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub interval: Duration,
    /// Print one look as text and end; so it does where the output is no terminal.
    #[arg(long)]
    pub once: bool,
    /// Keys printed or asked for, at most 200.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub keys: usize,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The router gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// What it said is no overview.
    #[error("the router's answer is none of this version of top: {0}")]
    Foreign(#[from] serde_json::Error),
    /// The terminal cannot be used.
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

impl TopError {
    /// Whether an argument is to blame.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Ask(error) if error.is_usage())
    }
}

/// Shows the router until somebody leaves. What is returned is to be printed.
///
/// # Errors
/// [`TopError`].
pub fn run(args: &TopArgs) -> Result<String, TopError> {
    let admin = Admin::new(&args.admin, args.token_file.as_deref())?;
    let mut feed = Feed::new(admin);
    let asked = Asked { keys: args.keys, ..Asked::default() };
    if args.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        // Two looks, because a rate is the difference between them.
        feed.look(&asked)?;
        std::thread::sleep(args.interval);
        feed.look(&asked)?;
        return Ok(plain::text(feed.figures().as_ref()));
    }
    // Whoever gave a wrong address or token is told so on a terminal that is as it was.
    feed.look(&asked)?;
    let mut terminal = ratatui::try_init()?;
    let ended = watch(&mut terminal, feed, asked, args.interval);
    ratatui::restore();
    ended.map(|()| String::new())
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    mut feed: Feed,
    mut asked: Asked,
    interval: Duration,
) -> Result<(), TopError> {
    let mut due = Instant::now();
    loop {
        if Instant::now() >= due && feed.begins(&asked) {
            due = Instant::now() + interval;
        }
        feed.take();
        let figures = feed.figures();
        if let Some(figures) = &figures {
            asked.stay_within(figures.keys.matched);
        }
        let screen = Screen { figures, problem: feed.problem(), asked: &asked };
        terminal.draw(|frame| screen.draw(frame))?;
        if event::poll(BLINK)? {
            match asked.take(&event::read()?) {
                Next::Stay => {}
                Next::Ask => due = Instant::now(),
                Next::Leave => return Ok(()),
            }
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    values::duration(text, Duration::from_millis(500), Duration::from_secs(60))
}

/// How long a key may go unnoticed, and an answer unseen.
const BLINK: Duration = Duration::from_millis(100);
