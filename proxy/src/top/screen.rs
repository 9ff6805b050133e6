//! One drawing of the terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::figures::{Figures, rate};
use super::keyboard::Asked;
use crate::stats::overview::{KeyRow, Lease, NodeRow, NodeState};

/// What is drawn.
pub(super) struct Screen<'s> {
    pub figures: Option<Figures>,
    pub problem: Option<&'s str>,
    pub asked: &'s Asked,
}

impl Screen<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let Some(figures) = &self.figures else {
            frame.render_widget(Paragraph::new("loading"), frame.area());
            return;
        };
        let head = self.head(figures);
        let rows = [
            Constraint::Length(u16::try_from(head.len()).unwrap_or(u16::MAX)),
            Constraint::Min(2),
            Constraint::Length(1),
        ];
        let [top, middle, bottom] = Layout::vertical(rows).areas(frame.area());
        frame.render_widget(Paragraph::new(head), top);
        self.keys(figures, frame, middle);
        frame.render_widget(Paragraph::new(self.foot(figures)), bottom);
    }

    fn head(&self, figures: &Figures) -> Vec<Line<'static>> {
        let state = match self.problem {
            Some(_) => Span::styled(" disconnected ", ALERT.add_modifier(Modifier::REVERSED)),
            None => {
                Span::styled(format!(" {} ", figures.state), GOOD.add_modifier(Modifier::REVERSED))
            }
        };
        let mut lines = vec![Line::from(vec![
            state,
            Span::raw(format!(" {}", self.problem.map_or_else(|| figures.title.clone(), clean))),
        ])];
        let numbers = figures.numbers.iter().flat_map(|(label, value)| {
            [Span::styled(format!("{label} "), DIM), Span::styled(format!("{value}   "), BOLD)]
        });
        lines.push(numbers.collect());
        if !figures.cores.is_empty() {
            let cores = figures.cores.iter().enumerate().map(|(core, share)| bar(core, *share));
            lines.push(cores.collect());
        }
        if figures.certificates_total > 0 {
            let label = format!("{} certificates: ", figures.certificates_total);
            let soonest =
                figures.certificates.iter().take(CERTIFICATES_SHOWN).map(|(name, days)| {
                    Span::styled(format!("{} {days} days   ", clean(name)), urgency(*days))
                });
            lines.push(std::iter::once(Span::styled(label, DIM)).chain(soonest).collect());
        }
        if !figures.rejects.is_empty() {
            let rejects = figures.rejects.iter().take(REJECTS_SHOWN).map(|(reason, count, per)| {
                Span::styled(format!("{reason} {count} ({}/s)   ", rate(*per)), WARN)
            });
            lines.push(std::iter::once(Span::styled("rejected: ", DIM)).chain(rejects).collect());
        }
        lines
    }

    fn keys(&self, figures: &Figures, frame: &mut Frame<'_>, area: Rect) {
        let header = ["KEY", "REQUESTS/S", "REQUESTS", "IN FLIGHT", "REFUSED", "STATE", "LEASE"];
        let header = Row::new(header.map(Cell::from)).style(DIM.add_modifier(Modifier::REVERSED));
        let rows = figures.keys.rows.iter().flat_map(|row| {
            let nodes = row.nodes.iter().filter(|_| !self.asked.hides_nodes).map(node_row);
            std::iter::once(key_row(row)).chain(nodes)
        });
        let widths = [
            Constraint::Fill(1),
            Constraint::Length(10),
            Constraint::Length(11),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(9),
            Constraint::Length(10),
        ];
        frame.render_widget(Table::new(rows, widths).header(header), area);
    }

    fn foot(&self, figures: &Figures) -> Line<'static> {
        if self.asked.is_typing {
            return Line::from(format!(
                "search: {}_   Enter keeps it, Esc drops it",
                self.asked.search
            ));
        }
        let order = if self.asked.is_reversed { ", reversed" } else { "" };
        let found = match self.asked.search.as_str() {
            "" => String::new(),
            search => format!(" with \"{search}\""),
        };
        let keys = &figures.keys;
        Line::from(format!(
            "{} to {} of {} keys{found} by {}{order}   s sort  r reverse  / search  n nodes  q quit",
            (keys.offset + 1).min(keys.matched),
            keys.offset + keys.rows.len(),
            keys.matched,
            self.asked.sort_name(),
        ))
        .style(DIM)
    }
}

fn key_row(row: &KeyRow) -> Row<'static> {
    Row::new([
        Cell::from(clean(&row.key)).style(BOLD),
        Cell::from(rate(row.per_second)),
        Cell::from(row.requests.to_string()),
        Cell::from(row.in_flight.to_string()),
        Cell::from(row.refused.to_string()),
    ])
}

fn node_row(node: &NodeRow) -> Row<'static> {
    let vassal = node.vassal.as_deref().map(|name| format!(" {}", clean(name))).unwrap_or_default();
    let (state, style) = (state_name(node.state), state_style(node.state));
    Row::new([
        Cell::from(format!("  {}{vassal}", clean(&node.node))).style(DIM),
        Cell::from(""),
        Cell::from(node.requests.to_string()).style(DIM),
        Cell::from(node.in_flight.to_string()).style(DIM),
        Cell::from(""),
        Cell::from(state).style(style),
        Cell::from(held(node.lease)).style(DIM),
    ])
}

fn bar(core: usize, share: Option<f64>) -> Span<'static> {
    let Some(share) = share else { return Span::raw(format!("core {core} -   ")) };
    let filled = ((share / 10.0).round() as usize).min(10);
    let (full, empty) = ("█".repeat(filled), "░".repeat(10 - filled));
    let style = if share > 90.0 { ALERT } else { Style::new() };
    Span::styled(format!("core {core} {full}{empty} {share:3.0} %   "), style)
}

/// Text somebody else chose, without what moves a terminal's cursor.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

pub(super) fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Ready => "ready",
        NodeState::Cooling => "cooling",
        NodeState::Unhealthy => "unhealthy",
        NodeState::Asleep => "asleep",
        NodeState::Drained => "drained",
    }
}

pub(super) fn held(lease: Lease) -> String {
    match lease {
        Lease::Static => "configured".to_owned(),
        Lease::LeftMs(ms) => format!("{} s", ms.div_ceil(1000)),
    }
}

fn state_style(state: NodeState) -> Style {
    match state {
        NodeState::Ready => GOOD,
        NodeState::Cooling => WARN,
        NodeState::Unhealthy => ALERT,
        NodeState::Asleep | NodeState::Drained => DIM,
    }
}

/// As on the dashboard: 21, 7 and 1 days.
fn urgency(days: i64) -> Style {
    match days {
        ..1 => ALERT.add_modifier(Modifier::REVERSED),
        1..7 => ALERT,
        7..21 => WARN,
        _ => GOOD,
    }
}

const GOOD: Style = Style::new().fg(Color::Green);
const WARN: Style = Style::new().fg(Color::Yellow);
const ALERT: Style = Style::new().fg(Color::Red);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Certificates and reasons in one line.
const CERTIFICATES_SHOWN: usize = 4;
const REJECTS_SHOWN: usize = 5;
