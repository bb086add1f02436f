//! Routes, settings, the server: everything is put together here.

pub mod backups;
pub mod config;
mod data_dir;
pub mod database_url;
pub mod gauges;
pub mod http;
mod notifier;
pub mod opening;
pub mod payment_settings;
mod payments_setup;
mod payouts;
pub mod reload;
mod restoration;
pub mod seed;
pub mod server;
mod upkeep;
mod watchdog;
