//! The first half of a start: everything is bound and loaded, powers are given up, and no thread runs yet.

use std::{collections::HashMap, sync::Arc};

use route_table::{RouteKey, TableHandle, TableWriter};
use router_core::{
    admin::AdminServer,
    estate::Estate,
    runtime::{self, Driver},
    subscriber::{Subscriber, SubscriberConfig, SubscriptionCounters},
    wall_clock::unix_now,
};

use super::{RunError, Sockets, Taken, bind_admin, cert_config, powers, subscriber_config};
use crate::{
    Ready,
    config::Settings,
    systemd::ServiceManager,
    tls::{
        cert_desk::CertDesk,
        cert_load::{self, CertLoader, ErrandInbox, Errands},
        cert_store::CertStore,
    },
    upgrade::{self, Birth, Memory},
};

/// A router that could serve at once.
pub(super) struct Prepared {
    /// The I/O driver of all workers.
    pub driver: Driver,
    /// The certificates that are served.
    pub certs: CertStore,
    /// Loads further ones.
    pub loader: CertLoader,
    /// Gives the loader something to do.
    pub errands: Errands,
    /// Where the loader finds it.
    pub errand_inbox: ErrandInbox,
    /// The sockets clients connect to.
    pub sockets: Sockets,
    /// Their handles for the workers.
    pub taken: Taken,
    /// Keys of raw listeners, by their number.
    pub tcp_keys: HashMap<u32, RouteKey>,
    /// The admin socket, if there is one.
    pub admin: Option<AdminServer>,
    /// What is left of the memory of the process before this one.
    pub memory: Memory,
    /// The route table.
    pub table: TableHandle,
    /// Counts what is announced.
    pub counters: Arc<SubscriptionCounters>,
    /// Receives announcements.
    pub subscriber: Subscriber,
    /// What is bound where.
    pub ready: Ready,
    /// Whoever started this process.
    pub manager: Arc<ServiceManager>,
}

/// Binds and loads everything.
pub(super) fn prepare(
    settings: &Settings,
    estate: &Arc<Estate>,
    birth: &mut Birth,
) -> Result<Prepared, RunError> {
    let driver = runtime::choose_driver(settings.io).map_err(RunError::Uring)?;
    let certs = CertStore::empty();
    let mut loader = CertLoader::new(cert_config(settings), certs.clone())?;
    loader.load_initial()?;
    let mut sockets = Sockets::default();
    let mut step = sockets.plan(settings, estate)?;
    let tcp_keys = std::mem::take(&mut step.tcp_keys);
    let taken = sockets.take(step, settings.workers);
    let admin = bind_admin(settings, estate)?;
    let admin_at = admin.as_ref().map(|admin| admin.local_addr().clone());
    let mut memory = birth.prepared()?;
    take_over_tickets(&certs, memory.take(upgrade::TICKET_KEYS));
    let (table_writer, table) = TableWriter::new();
    let counters = Arc::new(SubscriptionCounters::default());
    let (errands, errand_inbox) = cert_load::errands().map_err(RunError::Start)?;
    let own = sockets.own_addresses(admin_at.as_ref());
    let handed_over = memory.take(upgrade::SUBSCRIPTIONS);
    let config = SubscriberConfig { handed_over, ..subscriber_config(settings, own, estate) };
    let desk = CertDesk::new(certs.clone(), errands.clone());
    let subscriber = Subscriber::bind(config, table_writer, counters.clone(), desk)?;
    let ready = Ready::of(&sockets, subscriber.local_addrs(), admin_at, driver);
    let manager = Arc::new(ServiceManager::of_environment());
    for (kind, address) in estate.close_unclaimed() {
        tracing::warn!("{kind} {address} was inherited and is not configured: closed");
        manager.note_unused(kind, &address);
    }
    powers::give_up(settings, &sockets, &ready)?;
    Ok(Prepared {
        driver,
        certs,
        loader,
        errands,
        errand_inbox,
        sockets,
        taken,
        tcp_keys,
        admin,
        memory,
        table,
        counters,
        subscriber,
        ready,
        manager,
    })
}

fn take_over_tickets(certs: &CertStore, keys: Option<Vec<u8>>) {
    let Some(keys) = keys else { return };
    let now_unix = unix_now();
    if let Err(error) = certs.tickets().import(&keys, now_unix) {
        tracing::warn!(%error, "TLS sessions of the process before are not resumed");
    }
}
