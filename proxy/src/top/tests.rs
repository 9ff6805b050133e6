//! What is drawn, key by key, on a terminal that is a buffer.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::figures::{Figures, quantile};
use super::keyboard::{Asked, Next};
use super::screen::Screen;
use super::*;
use crate::stats::overview::Overview;

/// An answer of a router after `second` seconds.
fn answer(second: u64) -> Overview {
    let nodes = json!([
        { "node": "10.0.0.1:3031", "vassal": "red\u{1b}[2J", "proto": "uwsgi", "state": "ready",
          "lease": { "left-ms": 11_500 }, "weight": 1, "backup": 0, "in_flight": 2, "requests": 90,
          "failures": 0 },
        { "node": "10.0.0.2:3031", "vassal": null, "proto": "uwsgi", "state": "cooling",
          "lease": "static", "weight": 1, "backup": 0, "in_flight": 0, "requests": 10, "failures": 3 }
    ]);
    serde_json::from_value(json!({
        "format": 1,
        "router": {
            "program": "suzerain", "version": "1.2.3", "pid": 7, "started_unix": 1000,
            "now_unix": 1100 + second, "now_ms": 1000 * second, "state": "serving",
            "io_driver": "uring", "generation": 3, "keys": 1, "nodes": 2, "in_flight": 2,
            "resident_bytes": 1, "connections_open": 5,
            "workers": [{ "cpu_ms": 500 * second, "connections_open": 5, "requests": 9 }],
            "latency": { "bounds_us": [100, 200, 400], "counts": [90 * second, 9 * second, second, 0] },
            "totals": { "requests": 40 * second, "responses": { "5xx": 3 * second } },
            "heads_refused": 0,
            "subscription": { "rejects": { "bad_key": 4 * second, "stale": 0 } },
            "listeners": [], "subscribe": []
        },
        "keys": { "matched": 1, "offset": 0, "rows": [{
            "key": "shop.example", "per_second": 40.5, "requests": 100, "in_flight": 2,
            "waiting": 0, "refused": 6, "nodes_total": 2, "nodes": nodes
        }] },
        "certificates": { "total": 2, "rows": [
            { "name": "shop.example", "source": "directory", "not_after_unix": 1100 + 3 * 86_400 },
            { "name": null, "source": "default", "not_after_unix": 1100 + 90 * 86_400 }
        ] }
    }))
    .expect("an overview")
}

fn figures() -> Figures {
    Figures::of(&answer(4), Some(&answer(2)))
}

fn drawn(asked: &Asked, problem: Option<&str>) -> String {
    let mut terminal = Terminal::new(TestBackend::new(110, 16)).expect("a buffer");
    let screen = Screen { figures: Some(figures()), problem, asked };
    terminal.draw(|frame| screen.draw(frame)).expect("drawn");
    terminal.backend().to_string()
}

#[test]
fn the_screen_shows_rates_cores_certificates_rejects_and_keys() {
    let text = drawn(&Asked { keys: 50, ..Asked::default() }, None);
    for part in [
        "serving  suzerain 1.2.3, up 1 min, uring",
        "requests/s 40   p50 56us   p99 200us   5xx/s 3.0   connections 5   in flight 2",
        "core 0 █████░░░░░  50 %",
        "2 certificates: shop.example 2 days   (default) 89 days",
        "rejected: bad key 16 (4.0/s)",
        "KEY",
        "shop.example",
        "10.0.0.1:3031 red?[2J",
        "1 to 1 of 1 keys by rate",
    ] {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
    let line = |part: &str| text.lines().find(|line| line.contains(part)).expect(part).to_owned();
    assert!(line("10.0.0.1").contains("ready") && line("10.0.0.1").contains("12 s"), "{text}");
    assert!(line("10.0.0.2").contains("cooling"), "{text}");
    assert!(line("10.0.0.2").contains("configured"), "{text}");
}

#[test]
fn a_router_that_is_gone_is_said_and_the_last_numbers_stay() {
    let text = drawn(&Asked::default(), Some("no router answers"));
    assert!(text.contains("disconnected  no router answers"), "{text}");
    assert!(text.contains("shop.example"), "{text}");
}

#[test]
fn keys_of_the_keyboard_change_the_question() {
    let mut asked = Asked { keys: 50, ..Asked::default() };
    let press =
        |asked: &mut Asked, code| asked.take(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    assert_eq!(press(&mut asked, KeyCode::Char('s')), Next::Ask);
    assert_eq!(press(&mut asked, KeyCode::Char('r')), Next::Ask);
    assert_eq!(press(&mut asked, KeyCode::Char('/')), Next::Stay);
    for c in ['q', '&'] {
        assert_eq!(press(&mut asked, KeyCode::Char(c)), Next::Ask);
    }
    assert!(drawn(&asked, None).contains("search: q&_"));
    press(&mut asked, KeyCode::Enter);
    press(&mut asked, KeyCode::Down);
    assert_eq!(
        asked.target(),
        "/overview.json?search=q%26&sort=requests&order=reverse&offset=1&keys=50"
    );
    press(&mut asked, KeyCode::Char('n'));
    assert!(!drawn(&asked, None).contains("10.0.0.1"), "nodes are hidden");
    assert_eq!(press(&mut asked, KeyCode::Char('q')), Next::Leave);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(asked.take(&Event::Key(interrupt)), Next::Leave);
}

#[test]
fn a_percentile_lies_within_its_bucket() {
    let bounds = [100, 200, 400];
    assert_eq!(quantile(&[0, 0, 0, 0], &bounds, 0.5), None);
    assert_eq!(quantile(&[10, 0, 0, 0], &bounds, 0.5), Some(50.0));
    assert_eq!(quantile(&[5, 0, 5, 0], &bounds, 0.99).map(f64::round), Some(396.0));
    assert_eq!(quantile(&[0, 0, 0, 3], &bounds, 0.5), Some(400.0), "slower than all bounds");
}

#[test]
fn one_look_as_text_has_every_key_and_no_control_character() {
    let text = plain::text(Some(&figures()));
    assert!(text.starts_with("suzerain 1.2.3, up 1 min, uring: serving\n"), "{text}");
    for part in ["requests/s 40", "core 0: 50 %", "certificate shop.example: 2 days", "bad key: 16"]
    {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
    assert!(
        text.contains("  10.0.0.1:3031 vassal red?[2J ready 12 s 90 served 0 failed\n"),
        "{text}"
    );
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
}
