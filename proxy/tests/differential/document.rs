//! `docs/FRAMING_CORPUS.md`: written from the outcome, compared with it.

use std::path::Path;

use crate::requests::Requests;
use crate::responses::Responses;
use crate::text::{code_cell, escaped};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/FRAMING_CORPUS.md");

/// How the line with the programs' versions begins.
const VERSIONS: &str = "Seen with ";

/// Columns of the requests' table that depend on other programs.
const PEER_COLUMNS: usize = 3;

/// Compares the document, or rewrites it under `BLESS=1`.
///
/// # Panics
/// If it differs, or there are disagreements. What other programs saw is compared only if they have the versions it was
/// written with: another nginx may refuse other things.
pub fn compare(requests: &Requests, responses: &Responses) {
    let wrong = requests.wrong.len() + responses.wrong.len();
    assert_eq!(wrong, 0, "disagreements are not written down; the other tests show them");
    let fresh = render(requests, responses);
    let path = Path::new(DOCUMENT);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, fresh).expect("write");
        return;
    }
    let known = std::fs::read_to_string(path).unwrap_or_default();
    let is_same_versions = versions(&known) == versions(&fresh);
    let strip = |text: &str| if is_same_versions { text.to_owned() } else { without_peers(text) };
    let (known, fresh) = (strip(&known), strip(&fresh));
    let stale = known.lines().zip(fresh.lines()).find(|(old, new)| old != new);
    assert!(
        known == fresh,
        "docs/FRAMING_CORPUS.md is stale: {stale:#?}\n\
         BLESS=1 cargo test -p proxy --test differential rewrites it"
    );
}

fn versions(text: &str) -> Option<&str> {
    text.lines().find(|line| line.starts_with(VERSIONS))
}

fn without_peers(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(VERSIONS)).map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let kept =
            if cells.len() > PEER_COLUMNS + 2 { cells.len() - PEER_COLUMNS } else { cells.len() };
        cells[..kept].join(" | ") + "\n"
    });
    lines.collect()
}

fn render(requests: &Requests, responses: &Responses) -> String {
    let mut text = format!(
        "# The framing corpus

Written by `BLESS=1 cargo test -p proxy --test differential`; the test compares.
{VERSIONS}{versions}.

Ambiguous and malformed HTTP/1 messages, what suzerain makes of them, and what programs behind it see
of that. The test fails if one of them ever sees another number of requests, or another body, than
suzerain forwarded; if anything at all is seen of what is refused; or if bytes of one message are left
over for the next on any connection. [REJECT_TABLE.md](REJECT_TABLE.md) has the rules.

## {request_count} requests

Each is sent on a connection of its own, `$H` being the host, with one more request pipelined behind it.
*forwarded* means that this one was forwarded too; in all other cases it never was, except behind a 404
or a 400 for a uwsgi node, which refuse a well-formed request. The last four columns are the complete
requests seen by a strict recording origin, and through nginx, HAProxy and uWSGI, with the lengths of
their bodies in parentheses. *answers 400* means that the program saw the one request and refused it
itself. A body that is refused while it is under way leaves an incomplete request at the upstream, which
is closed; nodes that speak uwsgi get no chunked body before it is complete.

| name | bytes | verdict | forwarded | nginx | HAProxy | uWSGI |
|---|---|---|---|---|---|---|
",
        versions = requests.versions,
        request_count = requests.rows.len(),
    );
    for row in &requests.rows {
        let entry = &row.entry;
        let verdict = match entry.uwsgi {
            Some(uwsgi) => format!("{}; uwsgi: {uwsgi}", entry.verdict),
            None => entry.verdict.to_string(),
        };
        let bytes = code_cell(&escaped(&entry.bytes));
        let cells = row.cells.join(" | ");
        text.push_str(&format!("| {} | {bytes} | {verdict} | {cells} |\n", entry.name));
    }
    text.push_str(&format!(
        "
## {} responses

Each is the answer of a node to a GET, or to a HEAD where the name says so, and what the client got when
the node spoke HTTP and when it spoke uwsgi.
*502* is the router's own answer. *cut short* means that the client was told of more than it got, and
that its connection was closed. The next request on the client's connection, and one on another,
were answered properly or, behind a 502 or a cut, not at all. Bytes behind *then* came after the client
had its response.

| name | bytes | client gets | of a uwsgi node |
|---|---|---|---|
",
        responses.rows.len()
    ));
    for row in &responses.rows {
        let mut bytes = code_cell(&escaped(&row.entry.bytes));
        if let crate::corpus::responses::Then::Late(late) = row.entry.then {
            bytes.push_str(&format!(" then {}", code_cell(&escaped(late))));
        }
        text.push_str(&format!("| {} | {bytes} | {} |\n", row.entry.name, row.got.join(" | ")));
    }
    text
}
