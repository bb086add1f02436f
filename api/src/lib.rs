//! HTTP, configuration: the server is put together here.

pub mod backups;
pub mod config;
pub mod data_dir;
pub mod database_url;
pub mod gauges;
pub mod http;
pub mod notifier;
pub mod opening;
pub mod payment_settings;
mod payments_setup;
pub mod payouts;
pub mod reload;
pub mod restoration;
pub mod seed;
pub mod server;
pub mod upkeep;
pub mod watchdog;
