//! The reference of every option, `docs/CONFIG.md`, rendered from the catalogue.

use std::fmt::Write;

use super::Program;
use super::catalog::{OPTIONS, OptFacts, Scope, Section, Shape};

const INTRODUCTION: &str = "# Configuration

`suzerain run` and `suzerain-fastrouter run` take flags, a TOML file (`--config FILE.toml`), or both. A flag has the name of its
key and replaces the file's value; it never adds to a list of the file. `suzerain check FILE.toml`
(or `suzerain-fastrouter check`) says what is wrong with a file, line by line, without starting anything.
Options of one of the two programs alone say so below; the other one refuses them.

Relative paths start at the working directory of the process. Durations are `500ms`, `10s`, `5m`,
`1h` or a bare number of seconds; sizes are `64KiB`, `10MB` or a bare number of bytes. Unknown keys
are errors.

A table `[key.\"NAME\"]` in the file sets some options for one key alone: those that say *Per key* below.
NAME is a key as nodes announce it, so it may be a wildcard (`.example.org`), name a port
(`shop.example:8080`) or a mountpoint (`shop.example/cart`); the table holds for the requests which that
key routes, and for no others. What a table does not say is as for all keys, flags included; a list in it
replaces the list of all keys.

A running router reads all of it again at a reload ([OPERATING.md](OPERATING.md#reload)). Each option below says
whether a reload applies it. What needs an upgrade is named by the reload and stays as it is.

A table `[tenant.\"NAME\"]` names somebody who sees some keys on the admin socket: [SEEING.md](SEEING.md#tenants).

This page is made from the options' declarations; a test keeps it true.
";

/// The whole page.
#[must_use]
pub fn render() -> String {
    let mut page = String::from(INTRODUCTION);
    example(&mut page);
    for section in Section::ALL {
        let _ = write!(page, "\n## {}\n", section.title());
        if section == Section::Timeouts {
            page.push_str("\nKeys of the table `[timeouts]`; they have no flags.\n");
        }
        if section == Section::Tenants {
            page.push_str("\nKeys of tables `[tenant.\"NAME\"]`; they have no flags.\n");
        }
        for facts in OPTIONS.iter().filter(|facts| facts.section == section) {
            option(&mut page, facts);
        }
    }
    page
}

/// A file with every key, so that its form is seen once.
fn example(page: &mut String) {
    page.push_str("\n## A file with every key\n\nOf `suzerain`:\n\n```toml\n");
    example_of(page, Program::Suzerain);
    page.push_str("```\n\nOf `suzerain-fastrouter`:\n\n```toml\n");
    example_of(page, Program::Fastrouter);
    page.push_str("```\n");
}

fn example_of(page: &mut String, program: Program) {
    let options = || OPTIONS.iter().filter(move |facts| program.has(facts.opt));
    for section in Section::ALL {
        page.push_str(match section {
            Section::Timeouts => "\n[timeouts]\n",
            Section::Tenants => "\n[tenant.\"shop\"]\n",
            _ => "",
        });
        for facts in options().filter(|facts| facts.section == section) {
            let _ = writeln!(page, "{} = {}", facts.name, facts.example);
        }
    }
    page.push_str("\n[key.\"shop.example\"]\n");
    let mut table = "";
    for facts in options().filter(|facts| facts.opt.scope() == Scope::Key) {
        if facts.section == Section::Timeouts && table.is_empty() {
            table = "\n[key.\"shop.example\".timeouts]\n";
            page.push_str(table);
        }
        let _ = writeln!(page, "{} = {}", facts.name, facts.example);
    }
}

fn option(page: &mut String, facts: &OptFacts) {
    let _ = write!(page, "\n### `{}`\n\n{}\n\n", facts.key(), facts.about);
    if facts.is_flag() {
        let value = if facts.value.is_empty() { "" } else { " " };
        let more = if facts.shape == Shape::Many { ", repeatable" } else { "" };
        let _ = writeln!(page, "- Flag: `--{}{value}{}`{more}", facts.name, facts.value);
    }
    for program in [Program::Suzerain, Program::Fastrouter] {
        if !program.other().has(facts.opt) {
            let _ = writeln!(page, "- Program: `{program}` alone");
        }
    }
    if facts.opt.scope() == Scope::Key {
        page.push_str("- Per key: yes\n");
    }
    let _ = match facts.opt.fixed() {
        None => writeln!(page, "- Reload: yes"),
        Some(fixed) => writeln!(page, "- Reload: no, needs an upgrade: {}", fixed.because),
    };
    let _ = writeln!(page, "- Default: {}", facts.default);
    let _ = writeln!(page, "- Allowed: {}", facts.allowed);
    if !facts.cost.is_empty() {
        let _ = writeln!(page, "- Cost: {}", facts.cost);
    }
    let _ = writeln!(page, "- Example: `{} = {}`", facts.name, facts.example);
}
