//! The control socket over a real unix socket, with a source that only notes what it was told.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use super::*;

/// A child process asks, because this process itself is never let in.
fn exchange(path: &Path, request: &str) -> String {
    let script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n\
         s.sendall(sys.argv[2].encode())\n\
         out=b''\n\
         while True:\n  got=s.recv(65536)\n  out+=got\n  if not got: break\n\
         sys.stdout.buffer.write(out)";
    let told = std::process::Command::new("python3")
        .args(["-c", script, &path.display().to_string(), request])
        .output()
        .expect("python3");
    String::from_utf8(told.stdout).expect("UTF-8")
}

#[derive(Default)]
struct Notes(Mutex<Vec<Call>>);

impl CtlSource for Notes {
    fn ask(&self, call: &Call, format: CtlFormat) -> Result<String, CtlRefusal> {
        self.0.lock().unwrap().push(call.clone());
        Ok(format!("{format:?}"))
    }

    fn change(&self, call: &Call, _: Caller, level: Level) -> Result<String, CtlRefusal> {
        assert_eq!(level, Level::Operator, "the own user is an operator");
        self.0.lock().unwrap().push(call.clone());
        Err(CtlRefusal::Failed("no \"luck\"".to_owned()))
    }
}

fn served(folder: &Path) -> (PathBuf, Arc<Notes>, CtlHandle) {
    let path = folder.join("ctl.sock");
    let access = SocketAccess { mode: 0o640, owner: None, group: None };
    let config = CtlConfig { path: path.clone(), access, operators: None };
    let notes = Arc::new(Notes::default());
    let server = CtlServer::bind(config, &Estate::default()).unwrap();
    (path, Arc::clone(&notes), server.spawn(notes).unwrap())
}

#[test]
fn commands_and_arguments_arrive_and_answers_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, notes, handle) = served(folder.path());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
    let asked = exchange(&path, "GET /v1/nodes?format=text&key=a%2Fb+c HTTP/1.0\r\n\r\n");
    assert!(asked.starts_with("HTTP/1.0 200 ") && asked.ends_with("\r\n\r\nText"), "{asked}");
    let changed = exchange(&path, "POST /v1/drain HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(changed.starts_with("HTTP/1.1 409 "), "{changed}");
    assert!(changed.contains(r#"{"error":"no \"luck\""}"#), "{changed}");
    let calls = notes.0.lock().unwrap().clone();
    assert_eq!(calls[0].command, "nodes");
    assert_eq!(calls[0].arguments, [("key".to_owned(), "a/b+c".to_owned())]);
    assert_eq!(calls[1], Call { command: "drain".to_owned(), arguments: Vec::new() });
    handle.stop();
    assert!(!path.exists(), "the file goes with the socket");
}

#[test]
fn what_is_no_command_is_refused_and_heads_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, notes, handle) = served(folder.path());
    let long = format!("GET /v1/a?x={} HTTP/1.0\r\n\r\n", "x".repeat(limits::HEAD_BYTES_MAX));
    let many = format!("GET /v1/a?{} HTTP/1.0\r\n\r\n", "x=1&".repeat(limits::ARGUMENTS_MAX + 1));
    for (request, status) in [
        ("GET / HTTP/1.0\r\n\r\n", "501"),
        ("DELETE /v1/nodes HTTP/1.0\r\n\r\n", "405"),
        ("GET /v1/nodes?key=%f HTTP/1.0\r\n\r\n", "400"),
        ("GET /v1/nodes?key=%ff HTTP/1.0\r\n\r\n", "400"),
        ("GET /v1/nodes?format=xml HTTP/1.0\r\n\r\n", "400"),
        (&long, "431"),
        (&many, "400"),
    ] {
        let told = exchange(&path, request);
        assert_eq!(told.get(9..12), Some(status), "{request:.60} {told}");
    }
    assert!(notes.0.lock().unwrap().is_empty());
    handle.stop();
}

#[test]
fn the_router_itself_is_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let (path, notes, handle) = served(folder.path());
    let mut stream = UnixStream::connect(&path).unwrap();
    let _ = stream.write_all(b"POST /v1/stop HTTP/1.0\r\n\r\n");
    let mut told = Vec::new();
    let _ = stream.read_to_end(&mut told);
    assert!(told.is_empty());
    assert!(notes.0.lock().unwrap().is_empty());
    handle.stop();
}
