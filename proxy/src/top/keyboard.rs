//! What the person at the keyboard wants to see.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::cli::ask::percent_encoded;
use router_core::admin::limits::OVERVIEW_OFFSET_MAX;

/// The question, as it was put together so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Asked {
    /// Keys listed.
    pub keys: usize,
    /// Part of the keys wanted.
    pub search: String,
    /// The search is being typed.
    pub is_typing: bool,
    /// Index into [`SORTS`].
    pub sort: usize,
    /// From the other end.
    pub is_reversed: bool,
    /// Keys passed over.
    pub offset: usize,
    /// Nodes are left out.
    pub hides_nodes: bool,
}

/// What comes of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Nothing, or another drawing.
    Stay,
    /// Another look, now.
    Ask,
    /// The end.
    Leave,
}

/// As `/overview.json` names them.
pub(super) const SORTS: [&str; 6] = ["rate", "requests", "in-flight", "refused", "nodes", "key"];
/// Longest search.
const SEARCH_CHARS_MAX: usize = 60;

impl Asked {
    /// What sorts.
    pub(super) fn sort_name(&self) -> &'static str {
        SORTS[self.sort % SORTS.len()]
    }

    /// The question as a target.
    pub(super) fn target(&self) -> String {
        format!(
            "/overview.json?search={}&sort={}&order={}&offset={}&keys={}",
            percent_encoded(&self.search),
            self.sort_name(),
            if self.is_reversed { "reverse" } else { "natural" },
            self.offset,
            self.keys,
        )
    }

    /// Takes what the terminal reports.
    pub(super) fn take(&mut self, event: &Event) -> Next {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.press(key),
            _ => Next::Stay,
        }
    }

    fn press(&mut self, key: &KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Next::Leave } else { Next::Stay };
        }
        if self.is_typing {
            return self.type_search(key.code);
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Next::Leave,
            KeyCode::Char('/') => {
                self.is_typing = true;
                return Next::Stay;
            }
            KeyCode::Char('n') => {
                self.hides_nodes = !self.hides_nodes;
                return Next::Stay;
            }
            KeyCode::Char('s') => (self.sort, self.offset) = ((self.sort + 1) % SORTS.len(), 0),
            KeyCode::Char('r') => (self.is_reversed, self.offset) = (!self.is_reversed, 0),
            KeyCode::Down | KeyCode::Char('j') => self.offset += 1,
            KeyCode::Up | KeyCode::Char('k') => self.offset = self.offset.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.offset += PAGE,
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(PAGE),
            KeyCode::Home => self.offset = 0,
            _ => return Next::Stay,
        }
        self.offset = self.offset.min(OVERVIEW_OFFSET_MAX);
        Next::Ask
    }

    /// Comes back from beyond the last of so many keys.
    pub(super) fn stay_within(&mut self, matched: usize) {
        self.offset = self.offset.min(matched.saturating_sub(1));
    }

    fn type_search(&mut self, code: KeyCode) -> Next {
        match code {
            KeyCode::Enter => {
                self.is_typing = false;
                return Next::Stay;
            }
            KeyCode::Esc => {
                self.is_typing = false;
                self.search.clear();
            }
            KeyCode::Backspace => drop(self.search.pop()),
            KeyCode::Char(c) if self.search.chars().count() < SEARCH_CHARS_MAX => {
                self.search.push(c);
            }
            _ => return Next::Stay,
        }
        self.offset = 0;
        Next::Ask
    }
}

/// Keys of one page down.
const PAGE: usize = 10;
