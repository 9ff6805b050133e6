//! Commands as they are sent, read into what they mean.

use std::{fmt, net::IpAddr};

use route_table::{Address, Intake, RouteKey};
use router_core::ctl::{Call, CtlRefusal};
use tracing::level_filters::LevelFilter;

use crate::{
    config::{StaticRoute, values},
    control::Order,
    tls::cert_load::Reloadable,
};

/// Entries listed unless the question says otherwise.
const LIMIT_DEFAULT: usize = 1000;
/// Entries listed at most.
const LIMIT_MAX: usize = 1_000_000;

/// Something to be told.
#[derive(Debug)]
pub enum Question {
    /// Program, version, process.
    Version,
    /// Keys.
    Routes(Listing),
    /// Nodes of keys.
    Nodes(Listing),
    /// Client connections.
    Conns,
    /// Certificates.
    Certs(Listing),
    /// The pairs of one name.
    Cert(Reloadable),
    /// Changes, and the story of a key.
    Audit(Listing),
    /// How much is logged.
    LogLevel,
    /// What a request for this URL would get.
    Explain(String),
}

/// Which entries of a list.
#[derive(Debug)]
pub struct Listing {
    /// Those of one key.
    pub key: Option<RouteKey>,
    /// So many at most.
    pub limit: usize,
}

/// Something to be changed.
#[derive(Debug)]
pub enum Change {
    /// For the main thread.
    Order(Order),
    /// Give nodes new requests, or not.
    SetIntake {
        /// Which of the two.
        intake: Intake,
        /// The nodes.
        node: NodeName,
        /// Only in this key.
        key: Option<RouteKey>,
    },
    /// A node without a lease.
    AddRoute(Box<StaticRoute>),
    /// Such a node goes.
    DeleteRoute {
        /// Its key.
        key: RouteKey,
        /// Its address.
        address: Address,
    },
    /// Read certificates again.
    ReloadCerts(Reloadable),
    /// Log more or less.
    LogLevel {
        /// From this level on.
        level: LevelFilter,
        /// Only this part.
        target: Option<String>,
    },
}

/// How an operator names nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NodeName {
    /// All at this address.
    At(Address),
    /// All of this IP address, whatever their port.
    Machine(IpAddr),
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Machine(ip) => ip.fmt(f),
        }
    }
}

/// The arguments a command takes, and what reads them.
type Grammar<T> = (&'static [&'static str], fn(&Call) -> Result<T, CtlRefusal>);

impl Question {
    /// Reads a question.
    ///
    /// # Errors
    /// [`CtlRefusal::Unknown`] and [`CtlRefusal::Wrong`].
    pub fn read(call: &Call) -> Result<Self, CtlRefusal> {
        let (takes, read): Grammar<Self> = match call.command.as_str() {
            "version" => (&[], |_| Ok(Self::Version)),
            "routes" => (LISTING, |call| listing(call).map(Self::Routes)),
            "nodes" => (LISTING, |call| listing(call).map(Self::Nodes)),
            "conns" => (&[], |_| Ok(Self::Conns)),
            "certs" => (&["limit"], |call| listing(call).map(Self::Certs)),
            "cert" => (NAME, |call| {
                needed(call, "name")?;
                certificates(call).map(Self::Cert)
            }),
            "audit" => (LISTING, |call| listing(call).map(Self::Audit)),
            "loglevel" => (&[], |_| Ok(Self::LogLevel)),
            "explain" => (&["url"], |call| Ok(Self::Explain(needed(call, "url")?.to_owned()))),
            _ => return Err(CtlRefusal::Unknown),
        };
        only(call, takes)?;
        read(call)
    }
}

impl Change {
    /// Reads a change.
    ///
    /// # Errors
    /// [`CtlRefusal::Unknown`] and [`CtlRefusal::Wrong`].
    pub fn read(call: &Call) -> Result<Self, CtlRefusal> {
        let (takes, read): Grammar<Self> = match call.command.as_str() {
            "reload" => (&[], |_| Ok(Self::Order(Order::Reload))),
            "upgrade" => (&[], |_| Ok(Self::Order(Order::Upgrade))),
            "reopen-logs" => (&[], |_| Ok(Self::Order(Order::ReopenLogs))),
            "quit" => (&[], |_| Ok(Self::Order(Order::Drain))),
            "stop" => (&[], |_| Ok(Self::Order(Order::Stop))),
            "drain" => (NODE, |call| intake(call, Intake::Drained)),
            "undrain" => (NODE, |call| intake(call, Intake::Open)),
            "route-add" => (&["route"], |call| {
                let route = values::static_route(needed(call, "route")?).map_err(wrong)?;
                Ok(Self::AddRoute(Box::new(route)))
            }),
            "route-del" => (&["key", "address"], |call| {
                let key = values::key(needed(call, "key")?).map_err(wrong)?;
                let address = address(needed(call, "address")?)?;
                Ok(Self::DeleteRoute { key, address })
            }),
            "cert-reload" => (NAME, |call| certificates(call).map(Self::ReloadCerts)),
            "loglevel" => (&["level", "target"], |call| {
                let level = values::log_level(needed(call, "level")?);
                let level = level.map_err(|_| wrong(LEVELS))?;
                let target = call.argument("target").map(ToOwned::to_owned);
                Ok(Self::LogLevel { level, target })
            }),
            _ => return Err(CtlRefusal::Unknown),
        };
        only(call, takes)?;
        read(call)
    }

    /// The key it is about, if it is about one.
    pub fn key(&self) -> Option<&RouteKey> {
        match self {
            Self::SetIntake { key, .. } => key.as_ref(),
            Self::AddRoute(route) => Some(&route.key),
            Self::DeleteRoute { key, .. } => Some(key),
            Self::Order(_) | Self::ReloadCerts(_) | Self::LogLevel { .. } => None,
        }
    }
}

/// As the audit log has it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(order) => f.write_str(order.as_str()),
            Self::SetIntake { intake, node, key } => {
                let what = if *intake == Intake::Drained { "drain" } else { "undrain" };
                write!(f, "{what} {node}")?;
                key.as_ref().map_or(Ok(()), |key| write!(f, " of {key}"))
            }
            Self::AddRoute(route) => {
                let (key, address) = (&route.key, &route.announced);
                let (proto, weight) = (route.proto.as_str(), route.weight);
                write!(f, "route add {key} {address} proto={proto} weight={weight}")
            }
            Self::DeleteRoute { key, address } => write!(f, "route del {key} {address}"),
            Self::ReloadCerts(Reloadable::All) => f.write_str("cert reload"),
            Self::ReloadCerts(what) => write!(f, "cert reload {what}"),
            Self::LogLevel { level, target: None } => write!(f, "loglevel {level}"),
            Self::LogLevel { level, target: Some(target) } => {
                write!(f, "loglevel {level} {target}")
            }
        }
    }
}

const LISTING: &[&str] = &["key", "limit"];
const NODE: &[&str] = &["node", "key"];
const NAME: &[&str] = &["name"];
const LEVELS: &str = "level: off, error, warn, info, debug or trace";

fn intake(call: &Call, intake: Intake) -> Result<Change, CtlRefusal> {
    let text = needed(call, "node")?;
    let node = match NodeName::machine(text) {
        Some(machine) => machine,
        None => NodeName::At(address(text)?),
    };
    Ok(Change::SetIntake { intake, node, key: key(call)? })
}

fn listing(call: &Call) -> Result<Listing, CtlRefusal> {
    let limit = call.argument("limit").map(|text| values::number(text, 0, LIMIT_MAX));
    let limit = limit.transpose().map_err(|why| wrong(format!("limit: {why}")))?;
    Ok(Listing { key: key(call)?, limit: limit.unwrap_or(LIMIT_DEFAULT) })
}

fn certificates(call: &Call) -> Result<Reloadable, CtlRefusal> {
    let what = Reloadable::parse(call.argument("name"));
    what.map_err(|word| wrong(format!("name: \"{word}\" is no host name")))
}

fn key(call: &Call) -> Result<Option<RouteKey>, CtlRefusal> {
    let key = call.argument("key").map(values::key).transpose();
    key.map_err(|why| wrong(format!("key: {why}")))
}

fn address(text: &str) -> Result<Address, CtlRefusal> {
    match Address::parse(text.as_bytes()) {
        Ok(Address::Nowhere) => Err(wrong("an address is empty")),
        Ok(address) => Ok(address),
        Err(why) => Err(wrong(format!("the address \"{text}\": {why}"))),
    }
}

fn needed<'c>(call: &'c Call, name: &str) -> Result<&'c str, CtlRefusal> {
    call.argument(name).ok_or_else(|| wrong(format!("{} needs {name}", call.command)))
}

fn only(call: &Call, takes: &[&str]) -> Result<(), CtlRefusal> {
    for (at, (name, _)) in call.arguments.iter().enumerate() {
        if !takes.contains(&name.as_str()) {
            return Err(wrong(format!("{} takes no {name}", call.command)));
        }
        if call.arguments[..at].iter().any(|(before, _)| before == name) {
            return Err(wrong(format!("{name} is given twice")));
        }
    }
    Ok(())
}

fn wrong(why: impl Into<String>) -> CtlRefusal {
    CtlRefusal::Wrong(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(command: &str, arguments: &[(&str, &str)]) -> Call {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Call { command: command.to_owned(), arguments: arguments.iter().map(own).collect() }
    }

    #[test]
    fn changes_read_as_the_audit_log_tells_them() {
        let told = |command, arguments: &[_]| {
            Change::read(&call(command, arguments)).map(|change| change.to_string())
        };
        assert_eq!(told("reload", &[]).unwrap(), "reload");
        let node = [("node", "10.0.0.5:80"), ("key", "A.test")];
        assert_eq!(told("drain", &node).unwrap(), "drain 10.0.0.5:80 of a.test");
        assert_eq!(told("undrain", &[("node", "[fd00::1]")]).unwrap(), "undrain fd00::1");
        let route = [("route", "a.test=/run/a.sock,proto=http,weight=3")];
        let expected = "route add a.test /run/a.sock proto=http weight=3";
        assert_eq!(told("route-add", &route).unwrap(), expected);
        let level = [("level", "debug"), ("target", "subscribe")];
        assert_eq!(told("loglevel", &level).unwrap(), "loglevel debug subscribe");
        assert_eq!(told("cert-reload", &[]).unwrap(), "cert reload");
        for (name, read) in
            [("*.A.test", "*.a.test"), (".a.test", "*.a.test"), ("default", "default")]
        {
            let expected = format!("cert reload {read}");
            assert_eq!(told("cert-reload", &[("name", name)]).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_wrong_with_a_command_is_said() {
        for (command, arguments, said) in [
            ("reload", &[("now", "1")][..], "reload takes no now"),
            ("drain", &[], "drain needs node"),
            ("drain", &[("node", "")], "the address"),
            ("drain", &[("node", "a:1"), ("node", "b:1")], "node is given twice"),
            ("drain", &[("node", ":1"), ("key", "a b")], "key: "),
            ("route-add", &[("route", "a.test")], "there is no = between"),
            ("loglevel", &[("level", "loud")], "level: off, error"),
            ("cert-reload", &[("name", "a/b")], "name: \"a/b\" is no host name"),
        ] {
            let refusal = Change::read(&call(command, arguments)).expect_err(command);
            assert!(
                matches!(&refusal, CtlRefusal::Wrong(why) if why.starts_with(said)),
                "{refusal}"
            );
        }
        let limit = call("routes", &[("limit", "-1")]);
        assert!(matches!(Question::read(&limit), Err(CtlRefusal::Wrong(_))));
        let nameless = Question::read(&call("cert", &[])).unwrap_err();
        assert_eq!(nameless, CtlRefusal::Wrong("cert needs name".to_owned()));
        assert_eq!(Question::read(&call("drain", &[])).unwrap_err(), CtlRefusal::Unknown);
        assert_eq!(Change::read(&call("nodes", &[])).unwrap_err(), CtlRefusal::Unknown);
    }
}
