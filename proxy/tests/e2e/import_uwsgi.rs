//! `suzerain import-uwsgi`: a router's file of a real uWSGI serves real vassals here, and no option that
//! a real uWSGI lists is unknown.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::port::Port;
use crate::harness::process::Process;
use crate::harness::router::{BINARY, io_driver, suzerain};
use crate::harness::tools::run;
use crate::harness::vassal::{needs_plugin, vassal};
use crate::harness::{Client, eventually, require_tool};

/// What a router answers for the key of the vassal, once it does.
#[track_caller]
fn served(what: &str, address: std::net::SocketAddr) -> serde_json::Value {
    eventually(what, Duration::from_secs(30), || {
        let mut client = Client::try_connect(address).ok()?;
        let head = "GET /cart?n=1 HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
        client.try_send(head).ok()?;
        let answer = client.try_response("GET").ok()?;
        (answer.status == 200).then(|| answer.json())
    })
}

#[test]
fn a_vassal_is_served_by_uwsgis_router_and_then_by_ours_from_the_same_file() {
    let uwsgi = require_tool!("uwsgi");
    let folder = tempfile::Builder::new().prefix("sz").tempdir().expect("a folder");
    let http = Port::reserve();
    let subscribe = {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        socket.local_addr().expect("bound").to_string()
    };
    let ini = folder.path().join("edge.ini");
    let plugins = if needs_plugin(&uwsgi) { "plugins = http\n" } else { "" };
    let text = format!(
        "[uwsgi]\n{plugins}master = true\nhttp = {}\nhttp-subscription-server = {subscribe}\n\
         subscription-tolerance = 20\nhttp-timeout = 30\nhttp-keepalive = 10\n\
         http-var = EDGE=%n\nreuse-port = true\n",
        http.1
    );
    fs::write(&ini, text).expect("write");
    let _app = vassal("a")
        .subscribe2(format!("server={subscribe},key=shop.test"))
        .start(&uwsgi, folder.path());
    let theirs = {
        let mut command = Command::new(&uwsgi);
        command.arg("--ini").arg(&ini);
        let mut router = Process::start(&mut command, folder.path(), "theirs", Signal::SIGINT);
        let answer = served("uWSGI's router serves it", http.1);
        router.signal(Signal::SIGINT);
        router.status_within(Duration::from_secs(20));
        answer
    };

    let imported = suzerain(folder.path(), &["import-uwsgi", "edge.ini"]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let toml = folder.path().join("edge.toml");
    fs::write(&toml, &imported.stdout).expect("write");
    let checked = suzerain(folder.path(), &["check", "edge.toml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let mut command = Command::new(BINARY);
    command.args(["run", "--io", &io_driver(), "--config"]).arg(&toml);
    let _ours = Process::start(&mut command, folder.path(), "ours", Signal::SIGTERM);
    let ours = served("our router serves it", http.1);
    for field in ["node", "path", "qs", "host"] {
        assert_eq!(ours[field], theirs[field], "{field}: {ours} and {theirs}");
    }
}

/// Options that uWSGI lists, by how they begin.
fn listed(uwsgi: &Path, plugins: &str, begin: &[&str]) -> Vec<String> {
    let help = run(Command::new(uwsgi).args(["--plugins", plugins, "--help"])).stdout;
    let lines = help.lines().filter_map(|line| line.trim().strip_prefix("--"));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    let wanted = names.filter(|name| begin.iter().any(|begin| name.starts_with(begin)));
    wanted.map(str::to_owned).collect()
}

#[test]
fn every_option_of_uwsgis_routers_is_known() {
    let uwsgi = require_tool!("uwsgi");
    let folder = tempfile::tempdir().expect("a folder");
    let begin = [
        "http",
        "fastrouter",
        "rawrouter",
        "sslrouter",
        "subscription",
        "subscribe",
        "sni",
        "ssl-",
        "emperor",
        "vassal",
    ];
    let names = listed(&uwsgi, "http,fastrouter,rawrouter,sslrouter", &begin);
    let routers = names.iter().filter(|name| name.starts_with("http") || name.contains("router"));
    assert!(routers.count() > 100, "{names:?}");
    let lines = names.iter().map(|name| format!("{name} = 1\n"));
    let text = format!("[uwsgi]\n{}", lines.collect::<String>());
    fs::write(folder.path().join("all.ini"), text).expect("write");
    for program in ["suzerain", "fastrouter"] {
        let told = suzerain(folder.path(), &["import-uwsgi", "--program", program, "all.ini"]);
        assert_eq!(told.code, Some(2), "{told:?}");
        let unknown: Vec<_> =
            told.stderr.lines().filter(|line| line.contains("no option")).collect();
        assert!(unknown.is_empty(), "{program}: {unknown:#?}");
    }
}

#[test]
fn the_exit_code_tells_a_whole_result_from_a_partial_one_and_from_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let import = |text: &str| {
        fs::write(folder.path().join("r.ini"), text).expect("write");
        suzerain(folder.path(), &["import-uwsgi", "r.ini"])
    };
    let whole = import("[uwsgi]\nhttp = 127.0.0.1:8080\nhttp-to = 127.0.0.1:3031\n");
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let partial = import("[uwsgi]\nhttp = 127.0.0.1:8080\nhttp-to = 127.0.0.1:3031\nhtp = 1\n");
    assert_eq!(partial.code, Some(2), "{partial:?}");
    assert!(partial.stderr.contains("r.ini:4: htp: NOT translated: no option"), "{partial:?}");
    assert!(partial.stdout.contains("http = [\"127.0.0.1:8080\"]"), "{partial:?}");
    let none = suzerain(folder.path(), &["import-uwsgi", "missing.ini"]);
    assert_eq!(none.code, Some(64), "{none:?}");
}
