//! Whose request it is: Host, and targets in absolute form.

use super::{Entry, line};
use crate::verdict::{answered, closed, passed, refused};

pub fn all() -> Vec<Entry> {
    let with = |name: &str, hosts: &str, verdict| {
        Entry::new(name, format!("GET /a HTTP/1.1\r\n{hosts}\r\n"), verdict)
    };
    let mut entries: Vec<_> =
        REFUSED.iter().map(|(n, hosts)| with(n, hosts, refused(400))).collect();
    entries.extend([
        with("Host in capitals", "HOST: $H\r\n", passed(1)),
        with("Host with a dot at its end", "Host: $H.\r\n", passed(1)),
        with("Host with a port", "Host: $H:8080\r\n", passed(1)),
        with("Host with blanks around", "Host: \t $H \t\r\n", passed(1)),
        with("a Host nobody announced", "Host: evil.test\r\n", answered(404)),
        Entry::new(
            "a HEAD of a Host nobody announced",
            "HEAD /a HTTP/1.1\r\nHost: evil.test\r\n\r\n",
            answered(404),
        ),
        with("a Host that is a prefix", "Host: x$H\r\n", answered(404)),
        with("an address as Host", "Host: 127.0.0.1\r\n", answered(404)),
        with("an IPv6 address as Host", "Host: [::1]:80\r\n", answered(404)),
        with(
            "X-Forwarded-Host that differs",
            "Host: $H\r\nX-Forwarded-Host: evil.test\r\n",
            passed(1),
        ),
        with("X-Host that differs", "Host: $H\r\nX-Host: evil.test\r\n", passed(1)),
        Entry::new("no Host in HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", refused(404)),
        Entry::new("Host in HTTP/1.0", "GET /a HTTP/1.0\r\nHost: $H\r\n\r\n", closed(1)),
        Entry::new(
            "Host in an HTTP/1.0 that stays",
            "GET /a HTTP/1.0\r\nHost: $H\r\nConnection: keep-alive\r\n\r\n",
            passed(1),
        ),
        Entry::new("a URL without Host in HTTP/1.0", "GET http://$H/a HTTP/1.0\r\n\r\n", closed(1)),
    ]);
    entries.extend(URLS.iter().map(|(name, target, status)| {
        let verdict = if *status == 200 { passed(1) } else { refused(*status) };
        line(*name, format!("GET {target} HTTP/1.1"), verdict)
    }));
    entries
}

const REFUSED: &[(&str, &str)] = &[
    ("no Host", "X: 1\r\n"),
    ("an empty Host", "Host:\r\n"),
    ("a blank Host", "Host:  \r\n"),
    ("two Hosts", "Host: $H\r\nHost: evil.test\r\n"),
    ("two Hosts, the other first", "Host: evil.test\r\nHost: $H\r\n"),
    ("two equal Hosts", "Host: $H\r\nHost: $H\r\n"),
    ("two Hosts in two cases", "Host: $H\r\nhOST: evil.test\r\n"),
    ("a blank before Host's colon", "Host : $H\r\n"),
    ("a second Host on a folded line", "Host: $H\r\n Host: evil.test\r\n"),
    ("Host on a folded line", "Host:\r\n $H\r\n"),
    ("a list of Hosts", "Host: $H, evil.test\r\n"),
    ("two Hosts and a blank", "Host: $H evil.test\r\n"),
    ("Host with a path", "Host: $H/x\r\n"),
    ("Host with a query", "Host: $H?x\r\n"),
    ("Host with a fragment", "Host: $H#x\r\n"),
    ("Host with user info", "Host: $H@evil.test\r\n"),
    ("Host with a scheme", "Host: http://$H\r\n"),
    ("Host with an escape", "Host: %24H\r\n"),
    ("Host with a backslash", "Host: $H\\evil\r\n"),
    ("Host above ASCII", "Host: $H\u{e9}\r\n"),
    ("Host in quotes", "Host: \"$H\"\r\n"),
    ("Host with a port above 65535", "Host: $H:65536\r\n"),
    ("Host with a worded port", "Host: $H:http\r\n"),
    ("Host with a negative port", "Host: $H:-1\r\n"),
    ("Host with two ports", "Host: $H:80:81\r\n"),
    ("Host with an open bracket", "Host: [::1\r\n"),
    ("Host of dots", "Host: ..\r\n"),
    ("Host with an empty label", "Host: a..b\r\n"),
];

const URLS: &[(&str, &str, u16)] = &[
    ("a URL as target", "http://$H/a", 200),
    ("a URL in capitals", "HTTP://$H/a", 200),
    ("a URL without a path", "http://$H", 200),
    ("a URL with nothing but a query", "http://$H?x=1", 200),
    ("an https URL", "https://$H/a", 200),
    ("a URL of another host", "http://evil.test/a", 400),
    ("a URL of another port", "http://$H:81/a", 400),
    ("a URL with user info", "http://user@$H/a", 400),
    ("a URL with another host as user", "http://evil.test@$H/a", 400),
    ("a URL without a host", "http:///a", 400),
    ("a URL with one slash", "http:/$H/a", 400),
    ("a URL of another scheme", "ftp://$H/a", 400),
    ("a URL without a scheme", "//evil.test/a", 200),
    ("a URL with an escaped host", "http://%61.test/a", 400),
    ("a URL with a backslash", "http://$H\\@evil.test/a", 400),
    ("a URL with a fragment", "http://$H/a#x", 400),
    ("a host and port as target", "$H:80", 400),
];
