//! What one reading of the configuration says otherwise than another, in words for people.

use std::fmt;

use route_table::RouteKey;

use crate::config::{
    Settings,
    catalog::Opt,
    fixed::{FIXED, Fixed},
};

/// Keys that are named; of more only the number is told.
const KEYS_NAMED_MAX: usize = 5;

/// From what runs to what was read.
#[derive(Debug, Default)]
pub struct Difference {
    /// Options that change, in the order of the catalogue.
    pub options: Vec<Opt>,
    /// Keys whose tables are new, gone or other ones.
    pub keys: Vec<RouteKey>,
    /// What became of listeners, in words.
    pub listeners: Vec<String>,
    /// Options that differ and stay as they are.
    pub kept: Vec<&'static Fixed>,
}

impl Difference {
    /// Compares, and leaves in `next` what a running router cannot change as it is in `now`.
    pub fn settle(now: &Settings, next: &mut Settings) -> Self {
        let differ: Vec<Opt> = now.told.differences(&next.told).collect();
        let kept: Vec<_> = FIXED.iter().filter(|fixed| differ.contains(&fixed.opt)).collect();
        // All of them: one that nobody wrote may have another default by now.
        FIXED.iter().for_each(|fixed| fixed.keep(next, now));
        let options = differ.into_iter().filter(|opt| opt.fixed().is_none()).collect();
        let keys = now.told.keys_differing(&next.told);
        Self { options, keys, kept, listeners: Vec::new() }
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty() && self.keys.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.listeners.clone();
        // What became of listeners says more than the name of an option.
        let shown = |opt: &&Opt| self.listeners.is_empty() || !is_listener(**opt);
        let names: Vec<_> =
            self.options.iter().filter(shown).map(|opt| opt.facts().key()).collect();
        if !names.is_empty() {
            parts.push(format!("changed {}", names.join(", ")));
        }
        match self.keys.len() {
            0 => {}
            count @ 1..=KEYS_NAMED_MAX => {
                let names: Vec<_> = self.keys.iter().map(|key| key.as_str()).collect();
                let whose = if count == 1 { "the rules of key" } else { "the rules of keys" };
                parts.push(format!("changed {whose} {}", names.join(", ")));
            }
            count => parts.push(format!("changed the rules of {count} keys")),
        }
        if parts.is_empty() {
            parts.push("nothing changed".to_owned());
        }
        f.write_str(&parts.join("; "))?;
        for fixed in &self.kept {
            let name = fixed.opt.facts().key();
            write!(f, "; {name} needs an upgrade, because {}", fixed.because)?;
        }
        Ok(())
    }
}

const fn is_listener(opt: Opt) -> bool {
    matches!(opt, Opt::Http | Opt::Https | Opt::TlsPassthrough | Opt::Tcp | Opt::Uwsgi)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Program, read_text as read};

    fn told(before: &str, after: &str) -> (Settings, String) {
        let (now, mut next) = (read(Program::Suzerain, before), read(Program::Suzerain, after));
        let difference = Difference::settle(&now, &mut next);
        (next, difference.to_string())
    }

    const PLAIN: &str = "http = \"127.0.0.1:0\"\n";

    #[test]
    fn the_same_text_is_no_difference() {
        assert_eq!(told(PLAIN, PLAIN).1, "nothing changed");
    }

    #[test]
    fn options_keys_and_what_needs_an_upgrade_are_named() {
        let before = format!("{PLAIN}workers = 1\n[key.\"b.example\"]\nqueue-max = 1\n");
        let after = format!(
            "{PLAIN}workers = 2\nvia = \"off\"\n[timeouts]\nhead = \"3s\"\n\
             [key.\"a.example\"]\nqueue-max = 1\n[key.\"b.example\".timeouts]\nhead = \"4s\"\n"
        );
        let (next, text) = told(&before, &after);
        assert_eq!(
            text,
            "changed via, timeouts.head; changed the rules of keys a.example, b.example; \
             workers needs an upgrade, because threads and their sockets are made once"
        );
        assert_eq!(next.workers, 1);
    }

    #[test]
    fn many_keys_are_counted() {
        let tables: String =
            (0..9).map(|at| format!("[key.\"k{at}.example\"]\nqueue-max = 1\n")).collect();
        let text = told(PLAIN, &format!("{PLAIN}{tables}")).1;
        assert_eq!(text, "changed the rules of 9 keys");
    }
}
