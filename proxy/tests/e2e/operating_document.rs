//! docs/OPERATING.md as its readers take it: every `sh` block is run in order in one shell, as written but for
//! the loopback address and the ports, and says what the `text` block below it says.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::process::Process;
use crate::harness::require_tool;
use crate::harness::router::io_driver;

const DOCUMENT: &str = include_str!("../../../docs/OPERATING.md");

/// Ports as the documents have them.
pub const PORTS: [&str; 7] = ["8080", "8081", "8443", "7171", "9090", "3001", "3002"];

/// Printed between two blocks by the shell that runs them.
const MARK: &str = "@@ next block @@";

/// A command block and what it promises to print.
pub struct Step {
    pub script: String,
    promised: Vec<String>,
}

/// Blocks of a document, each with the lines of the `text` block that follows it at once.
pub fn steps(document: &str, here: impl Fn(&str) -> String) -> Vec<Step> {
    let parts: Vec<_> = document.split("```").collect();
    let blocks: Vec<_> = parts.iter().skip(1).step_by(2).collect();
    let prose = parts.iter().skip(2).step_by(2);
    let mut steps = Vec::new();
    for (index, (block, after)) in blocks.iter().zip(prose).enumerate() {
        let Some(script) = block.strip_prefix("sh\n") else { continue };
        let next = blocks.get(index + 1).filter(|_| after.trim().is_empty());
        let promised = next.and_then(|next| next.strip_prefix("text\n")).unwrap_or_default();
        let promised = here(promised).lines().map(essence).collect();
        steps.push(Step { script: here(script), promised });
    }
    steps
}

/// A line without what differs from run to run: widths of columns, digits of times and ids.
fn essence(line: &str) -> String {
    let mut words: Vec<_> = line.split_whitespace().map(plain_word).collect();
    if let [first, id, ..] = words.as_mut_slice()
        && first == "process"
    {
        *id = if id.ends_with(',') { "N,".to_owned() } else { "N".to_owned() };
    }
    let line = words.join(" ");
    match line.split_once("announced ") {
        Some((before, _)) => format!("{before}announced N s ago"),
        None => line,
    }
}

fn plain_word(word: &str) -> String {
    let drivers = ["uring-defer,", "uring-coop,", "uring,", "epoll,"];
    if drivers.contains(&word) {
        return "DRIVER,".to_owned();
    }
    // Seconds and long ids; counts, ports and addresses are promises.
    let number = word.trim_end_matches([',', 's']);
    let time = word.ends_with('s') && !number.is_empty();
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if digits && (time || number.len() > 4 || word.ends_with(',')) {
        return "N".to_owned();
    }
    word.to_owned()
}

/// `127.0.0.1` and [`PORTS`] made ones that nothing else on the machine has.
pub fn own_addresses() -> (String, Vec<String>) {
    let id = std::process::id();
    let address = format!("127.{}.{}.1", 1 + (id >> 8) % 250, 1 + id % 250);
    let mut ports: Vec<String> = Vec::new();
    while ports.len() < PORTS.len() {
        let tcp = TcpListener::bind((address.as_str(), 0)).expect("bind");
        let port = tcp.local_addr().expect("bound").port();
        let Ok(_udp) = UdpSocket::bind((address.as_str(), port)) else { continue };
        let port = port.to_string();
        if !ports.contains(&port) && !PORTS.iter().any(|written| port.contains(written)) {
            ports.push(port);
        }
    }
    (address, ports)
}

/// Has curl find the site at `address`, whatever the commands of the document say.
pub fn curl_settings(folder: &Path, address: &str, ports: &[String]) {
    let resolve =
        ports.iter().map(|port| format!("resolve = \"shop.localhost:{port}:{address}\"\n"));
    let settings = format!("noproxy = \"*\"\nmax-time = 30\n{}", resolve.collect::<String>());
    fs::write(folder.join(".curlrc"), settings).expect("write");
}

/// One shell for all blocks, which ends at the first command that fails.
pub fn shell(folder: &Path, steps: &[Step]) -> Command {
    let scripts: Vec<_> = steps.iter().map(|step| step.script.as_str()).collect();
    let script = scripts.join(&format!("echo '{MARK}'\n"));
    let programs = Path::new(crate::BINARY).parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-euc", &format!("exec 2>&1\n{script}")]).current_dir(folder);
    command.env("PATH", format!("{programs}:{path}:/usr/sbin"));
    command.env("CURL_HOME", folder).env_remove("SUZERAIN_CTL");
    command
}

/// What the document started in its folder, wherever the walk ended: announced programs are in groups of
/// their own.
pub struct Started<'f>(pub &'f Path);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let is_ours = fs::read_link(process.path().join("cwd")).is_ok_and(|at| at == self.0);
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.filter(|_| is_ours) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

/// The first of the `promised` lines that is not in what was said; vassals come in any order.
fn first_missing<'a>(promised: &'a [String], said: &str) -> Option<&'a String> {
    let said: Vec<_> = said.lines().map(essence).collect();
    promised.iter().find(|line| !said.contains(line))
}

#[test]
fn every_command_works_as_written() {
    let _tools = (require_tool!("curl"), require_tool!("openssl"), require_tool!("python3"));
    let folder = tempfile::Builder::new().prefix("sz").tempdir().expect("a folder");
    let _started = Started(folder.path());
    let (address, ports) = own_addresses();
    curl_settings(folder.path(), &address, &ports);
    let run = format!("suzerain run --io {}", io_driver());
    let steps = steps(DOCUMENT, |text| {
        let text = text.replace("127.0.0.1", &address).replace("suzerain run", &run);
        PORTS.iter().zip(&ports).fold(text, |text, (written, own)| text.replace(written, own))
    });
    assert!(steps.len() >= 13, "{} blocks", steps.len());
    let mut command = shell(folder.path(), &steps);
    let mut walk = Process::start(&mut command, folder.path(), "walk", Signal::SIGKILL);
    let status = walk.status_within(Duration::from_secs(90));
    let said = walk.stdout();
    let sections: Vec<_> = said.split(&format!("{MARK}\n")).collect();
    let last = &steps[sections.len() - 1].script;
    assert!(status.success(), "{status} in {last}: {said}");
    assert_eq!(sections.len(), steps.len(), "{said}");
    for (step, said) in steps.iter().zip(&sections) {
        let missing = first_missing(&step.promised, said);
        assert_eq!(missing, None, "not said by\n{}\nbut\n{said}", step.script);
    }
    let upgrade = sections.iter().find(|said| said.contains("took over")).expect("an upgrade");
    let processes: Vec<_> =
        upgrade.lines().filter_map(|line| line.strip_prefix("process ")?.split_once(',')).collect();
    assert!(processes[0].0 != processes[1].0, "the same process: {upgrade}");
}
