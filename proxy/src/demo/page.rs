//! The pages of the demo site: what it was asked, as HTML for people and as text for curl.

use std::fmt::Write;

use axum::http::{HeaderMap, Method, Uri};

/// Who answered.
pub struct Node<'a> {
    /// The key the site is subscribed under.
    pub key: &'a str,
    /// The address the router connects to.
    pub address: &'a str,
}

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--line:#d9dee6;--paper:#fff;--mark:#0b6e4f}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#9aa5b5;--line:#333c49;--paper:#161b22;--mark:#4cc38a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:46rem;padding:1.5rem 1rem 3rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.05rem;margin:2rem 0 .4rem}
p{margin:.4rem 0;color:var(--soft)}b{color:var(--mark)}
dl{margin:0;border-top:1px solid var(--line)}
div.row{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.35rem 0;border-bottom:1px solid var(--line)}
dt{flex:0 0 11rem;color:var(--soft)}dd{flex:1 1 14rem;margin:0;overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.9rem}
.ours dt,.ours dd{color:var(--mark)}
a{color:var(--mark)}";

/// The page for people.
pub fn html(node: &Node<'_>, method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
    let mut page = String::with_capacity(4096);
    let _ = write!(
        page,
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{key}</title><style>{STYLE}</style>\
         <h1>It works.</h1>\
         <p>This page came through the router to the node <b>{address}</b>, which subscribed \
         itself as <b>{key}</b> with a signed datagram.</p>\
         <h2>The request as the node saw it</h2><dl>",
        key = escaped(node.key),
        address = escaped(node.address),
    );
    row(&mut page, "", "method", method.as_str());
    row(&mut page, "", "target", &uri.to_string());
    for (name, value) in headers {
        let ours = if name.as_str().starts_with("x-forwarded-") { " ours" } else { "" };
        row(&mut page, ours, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    page.push_str(
        "</dl><p>The marked fields were written by the router; what a client sends under these \
         names is dropped.</p>\
         <p>More: <a href=/echo>/echo</a> as text, <a href=/healthz>/healthz</a>.</p></html>\n",
    );
    page
}

fn row(page: &mut String, class: &str, name: &str, value: &str) {
    let (name, value) = (escaped(name), escaped(value));
    let _ = write!(page, "<div class=\"row{class}\"><dt>{name}</dt><dd>{value}</dd></div>");
}

/// The same as text, with the size of the body.
pub fn text(
    node: &Node<'_>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> String {
    let mut page = format!("node: {}\nkey: {}\n\n{method} {uri}\n", node.address, node.key);
    for (name, value) in headers {
        let _ = writeln!(page, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    let _ = writeln!(page, "\nbody: {} bytes", body.len());
    page.push_str(&String::from_utf8_lossy(body));
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_cannot_become_markup() {
        let mut headers = HeaderMap::new();
        headers.insert("x-evil", "<script>\"'&".parse().expect("a header value"));
        let node = Node { key: "a", address: "127.0.0.1:1" };
        let page = html(&node, &Method::GET, &Uri::from_static("/"), &headers);
        assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;"));
        assert!(!page.contains("<script>"));
    }
}
