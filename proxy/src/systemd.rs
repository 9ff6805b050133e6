//! What systemd, or another service manager that speaks its protocol, gives to a process and is told.

mod activation;
mod notify;
pub mod watchdog;

pub use activation::given;
pub use notify::ServiceManager;
