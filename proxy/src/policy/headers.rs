//! Fields and vars of one key: what is said to its nodes and its clients beyond what they said.

use std::fmt::Write;
use std::time::Duration;

use route_table::Opening;

/// The rules about fields and vars.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderPolicy {
    /// Whether plain HTTP is answered with a redirect.
    pub https_redirect: Option<HttpsRedirect>,
    /// The value of `Strict-Transport-Security` in responses over HTTPS.
    pub hsts: Option<Box<str>>,
    /// Vars for uwsgi nodes behind those of the request, in this order.
    pub http_vars: Vec<HttpVar>,
    /// What `SERVER_NAME` is.
    pub server_name: ServerName,
    /// In place of the modifier1 a node announced; 0: as announced.
    pub modifier1: u8,
    /// In place of the modifier2 a node announced; 0: as announced.
    pub modifier2: u8,
    /// What connections to its nodes begin with, unless a node's own route says more.
    pub opening: Opening,
    /// Largest body, in bytes, whose sender is told to continue.
    pub expect_bytes_max: Option<u64>,
}

/// A redirect of plain HTTP to HTTPS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HttpsRedirect {
    /// 301, 302, 307 or 308.
    pub status: u16,
    /// The port HTTPS is on; `None`: 443, which goes without saying.
    pub port: Option<u16>,
}

impl HttpsRedirect {
    /// Reads `STATUS` or `STATUS,port=N`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (status, rest) = match text.split_once(',') {
            Some((status, rest)) => (status, Some(rest)),
            None => (text, None),
        };
        let status = match status {
            "301" | "302" | "307" | "308" => status.parse().map_err(|_| "no status")?,
            _ => return Err(format!("\"{status}\" is no status of a redirect")),
        };
        let port = match rest.map(|rest| rest.strip_prefix("port=").ok_or(rest)) {
            None => None,
            Some(Ok(port)) => match port.parse() {
                Ok(port) if port > 0 => Some(port).filter(|port| *port != 443),
                _ => return Err(format!("the port \"{port}\" is not 1 to 65535")),
            },
            Some(Err(rest)) => return Err(format!("\"{rest}\" is not port=")),
        };
        Ok(Self { status, port })
    }
}

/// What `SERVER_NAME` is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ServerName {
    /// The machine's name, as uWSGI's http router has it.
    #[default]
    Machine,
    /// The host that was asked for, without port.
    HttpHost,
}

/// A var of the operator's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpVar {
    /// Its name: letters, digits and `_`.
    pub name: Box<str>,
    /// Its value: anything without control characters.
    pub value: Box<str>,
}

/// Longest name of a var.
const NAME_BYTES_MAX: usize = 128;
/// Longest value of a var: vars of all kinds share 65,535 bytes, of which uWSGI takes 4096 by default.
const VALUE_BYTES_MAX: usize = 4096;
/// Vars that this router makes from the request.
const OURS: [&str; 13] = [
    "REQUEST_METHOD",
    "REQUEST_URI",
    "PATH_INFO",
    "QUERY_STRING",
    "SERVER_PROTOCOL",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "UWSGI_ROUTER",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
];

impl HttpVar {
    /// Reads `NAME=VALUE`.
    ///
    /// # Errors
    /// What is wrong with the text; also a name that stands for something of the request.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("there is no = between name and value")?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("the name is not made of letters, digits and _".to_owned());
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(format!("the name is longer than {NAME_BYTES_MAX} bytes"));
        }
        let upper = name.to_ascii_uppercase();
        let claims = upper.starts_with("HTTP_") || upper.starts_with("HTTPS") || upper == "HTTP";
        if claims || OURS.contains(&upper.as_str()) {
            return Err(format!("{name} is made from the request"));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("the value is longer than {VALUE_BYTES_MAX} bytes"));
        }
        if value.chars().any(char::is_control) {
            return Err("the value contains a control character".to_owned());
        }
        Ok(Self { name: name.into(), value: value.into() })
    }
}

impl HeaderPolicy {
    /// Adds a var.
    ///
    /// # Errors
    /// It is none, or its name is taken.
    pub fn add_http_var(&mut self, text: &str) -> Result<(), String> {
        let var = HttpVar::parse(text)?;
        if self.http_vars.iter().any(|other| other.name == var.name) {
            return Err(format!("{} has a value already", var.name));
        }
        self.http_vars.push(var);
        Ok(())
    }
}

/// Reads `MAX_AGE[,subdomains][,preload]` into the value of `Strict-Transport-Security`.
///
/// # Errors
/// What is wrong with the text.
pub fn hsts(text: &str, duration: impl Fn(&str) -> Option<Duration>) -> Result<Box<str>, String> {
    let mut parts = text.split(',');
    let age = parts.next().unwrap_or_default();
    let age = duration(age).ok_or_else(|| format!("\"{age}\" is not a duration"))?;
    let mut value = format!("max-age={}", age.as_secs());
    for part in parts {
        let directive = match part {
            "subdomains" => "includeSubDomains",
            "preload" => "preload",
            _ => return Err(format!("\"{part}\" is neither subdomains nor preload")),
        };
        let _ = write!(value, "; {directive}");
    }
    Ok(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_has_a_status_and_perhaps_a_port() {
        let parsed =
            |text| HttpsRedirect::parse(text).map(|redirect| (redirect.status, redirect.port));
        assert_eq!(parsed("308"), Ok((308, None)));
        assert_eq!(parsed("301,port=8443"), Ok((301, Some(8443))));
        assert_eq!(parsed("301,port=443"), Ok((301, None)));
        for wrong in ["", "200", "on", "308,", "308,port=0", "308,port=x", "308,host=evil"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_var_cannot_pass_for_something_of_the_request() {
        assert!(HttpVar::parse("APP_ENV=a=b c").is_ok_and(|var| &*var.value == "a=b c"));
        for wrong in [
            "A",
            "=x",
            "A-B=x",
            "A B=x",
            "A=x\r\nB",
            "HTTP_HOST=x",
            "http_x=1",
            "HTTPS=on",
            "https_dn=x",
            "REMOTE_ADDR=::1",
            "remote_addr=x",
            "SCRIPT_NAME=",
            "CONTENT_LENGTH=1",
        ] {
            assert!(HttpVar::parse(wrong).is_err(), "{wrong:?}");
        }
        let mut policy = HeaderPolicy::default();
        assert!(policy.add_http_var("A=1").is_ok() && policy.add_http_var("A=2").is_err());
    }

    #[test]
    fn hsts_is_written_as_browsers_read_it() {
        let read = |text| hsts(text, |text| text.parse().ok().map(Duration::from_secs));
        assert_eq!(read("60").as_deref(), Ok("max-age=60"));
        assert_eq!(
            read("31536000,subdomains,preload").as_deref(),
            Ok("max-age=31536000; includeSubDomains; preload")
        );
        assert!(read("max-age=1").is_err() && read("1,sub").is_err());
    }
}
