//! From signals to orders, with nginx's meanings.

use std::{io, sync::Arc};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ},
    iterator::Signals,
};

use super::{Order, Orders, audit::By};

/// Takes the signals over from their default action, from before the first thread of the router
/// starts until the process ends.
///
/// # Errors
/// If the system refuses.
pub fn watch(orders: Orders) -> io::Result<()> {
    // A log at its limit of file size is an error of that write, as on a full disk, and not the end.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            orders.give(meaning(signal), By::Signal { signal: name(signal) });
        }
    })?;
    Ok(())
}

/// SIGINT, which nginx takes for SIGTERM, drains here: it is Ctrl-C, and a second one cuts.
fn meaning(signal: i32) -> Order {
    match signal {
        SIGHUP => Order::Reload,
        SIGUSR1 => Order::ReopenLogs,
        SIGUSR2 => Order::Upgrade,
        SIGTERM => Order::Stop,
        _ => Order::Drain,
    }
}

fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("unknown")
}
