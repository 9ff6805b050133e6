//! What the demo prints when it is up: every line can be clicked or pasted as it stands.

use std::fmt::Write;

use router_core::address::ListenAddr;

use crate::Ready;

use super::materials::Materials;
use super::{APP_KEY, DEMO_KEY};

/// The parts of the text that are known before the router is up.
pub struct Banner {
    program: String,
    app: String,
    app_key: String,
    directory: String,
}

impl Banner {
    /// Takes the paths from `materials`.
    pub fn new(materials: &Materials) -> Self {
        Self {
            program: std::env::args().next().unwrap_or_else(|| "suzerain".to_owned()),
            app: materials.app_path().display().to_string(),
            app_key: materials.private_path(APP_KEY).display().to_string(),
            directory: materials.public_dir().display().to_string(),
        }
    }

    /// The whole text for a router that listens as `ready` says.
    pub fn text(&self, ready: &Ready) -> String {
        let first = |addrs: &[ListenAddr]| addrs.iter().find_map(ListenAddr::ip);
        let mut text = String::from("\nThe router is up and the demo site has subscribed.\n\n");
        let mut line = |what: &str, value: String| {
            let _ = writeln!(text, "  {what:<11}{value}");
        };
        let http = first(&ready.http).map_or(0, |addr| addr.port());
        line("site", format!("http://{DEMO_KEY}:{http}/"));
        if let Some(addr) = first(&ready.https) {
            let port = addr.port();
            line("https", format!("https://{DEMO_KEY}:{port}/   (self-signed: curl wants -k)"));
        }
        if let Some(addr) = ready.admin.as_ref().and_then(ListenAddr::ip) {
            line("dashboard", format!("http://{addr}/dashboard"));
            line("stats", format!("http://{addr}/stats"));
            line("metrics", format!("http://{addr}/metrics"));
            let program = &self.program;
            line("why?", format!("{program} explain --admin {addr} http://{DEMO_KEY}:{http}/"));
        }
        if let Some(addr) = first(&ready.subscribe) {
            let (app, key) = (&self.app, &self.app_key);
            let _ = write!(
                text,
                "\nSubscribe a real uWSGI app (apt-get install uwsgi-core uwsgi-plugin-python3):\n\n  \
                 uwsgi --plugins python3 --master --socket 127.0.0.1:0 --wsgi-file {app} \
                 --subscribe2 server={addr},key={APP_KEY},sign=SHA256:{key}\n\n  \
                 then open http://{APP_KEY}:{http}/\n\n\
                 Public keys are in {}. ",
                self.directory
            );
        }
        text.push_str("Ctrl-C ends it all.\n\n");
        text
    }
}
