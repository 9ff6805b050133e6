//! What was written already: finds the second value of an option that takes one, the second entry of
//! a list that says the same, and lists longer than any real one.

use std::collections::HashMap;

use router_core::address::ListenAddr;

use super::catalog::{Opt, Shape};
use super::limits;
use super::problem::{Place, Problem};

/// The options of one table, with the places of their values.
#[derive(Debug, Default)]
pub struct Seen {
    /// First place of every option; of every value for options that take many.
    places: HashMap<(Opt, String), Place>,
    counts: HashMap<Opt, usize>,
}

impl Seen {
    /// Notes one value.
    ///
    /// # Errors
    /// It is one too many.
    pub fn note(&mut self, opt: Opt, text: &str, place: &Place) -> Result<(), Problem> {
        let many = opt.facts().shape == Shape::Many;
        let listener = matches!(
            opt,
            Opt::Http | Opt::Https | Opt::TlsPassthrough | Opt::Tcp | Opt::Uwsgi | Opt::Subscribe
        );
        let count = self.counts.entry(opt).or_default();
        *count += 1;
        let max = match opt {
            Opt::Route => limits::ROUTES_MAX,
            Opt::Resubscribe => limits::RESUBSCRIBE_MAX,
            _ if listener => limits::LISTENERS_MAX,
            _ => limits::LIST_MAX,
        };
        if *count > max {
            return Err(Problem::TooMany { place: place.clone(), opt, max });
        }
        // Port 0 may be asked for twice: the kernel answers with two ports.
        if listener && text.parse::<ListenAddr>().is_ok_and(|addr| has_free_port(&addr)) {
            return Ok(());
        }
        let what = if many { text.to_owned() } else { String::new() };
        if let Some(first) = self.places.get(&(opt, what.clone())) {
            let (place, first) = (place.clone(), first.clone());
            return Err(Problem::Twice { place, opt, read: text.to_owned(), first });
        }
        self.places.insert((opt, what), place.clone());
        Ok(())
    }

    /// Whether the option was written at all.
    #[must_use]
    pub fn has(&self, opt: Opt) -> bool {
        self.counts.contains_key(&opt)
    }

    /// How often the option was written.
    #[must_use]
    pub fn count(&self, opt: Opt) -> usize {
        self.counts.get(&opt).copied().unwrap_or_default()
    }

    /// Where the option was written first.
    #[must_use]
    pub fn first_place(&self, opt: Opt) -> Place {
        let mut places: Vec<_> = self.places.iter().filter(|((seen, _), _)| *seen == opt).collect();
        places.sort_by_key(|(_, place)| place.position());
        places.first().map_or(Place::Flag(opt), |(_, place)| (*place).clone())
    }

    /// Where the listener of an option was written.
    #[must_use]
    pub fn place_of(&self, opt: Opt, addr: &ListenAddr) -> Place {
        let of_opt = self.places.iter().filter(|((seen, _), _)| *seen == opt);
        let mut same = of_opt.filter(|((_, text), _)| {
            let text = text.split('=').next().unwrap_or_default();
            text.is_empty() || text.parse::<ListenAddr>().is_ok_and(|read| read == *addr)
        });
        same.next().map_or(Place::Flag(opt), |(_, place)| place.clone())
    }
}

/// Whether the kernel chooses the port.
pub fn has_free_port(addr: &ListenAddr) -> bool {
    matches!(addr, ListenAddr::Tcp(addr) if addr.port() == 0)
}
