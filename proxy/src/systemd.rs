//! What systemd, or another service manager that speaks its protocol, gives to a process and is told.

mod activation;

pub use activation::given;
