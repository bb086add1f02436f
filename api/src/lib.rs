//! HTTP, configuration: the server is put together here.

pub mod auth;
pub mod backups;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod database_url;
pub mod gauges;
pub mod http;
pub mod key_uses;
pub mod limits;
pub mod notifier;
pub mod payments_setup;
pub mod payouts;
pub mod problem;
mod readiness;
pub mod reload;
pub mod restoration;
pub mod seed;
pub mod server;
pub mod setting_values;
pub mod slots;
pub mod state;
pub mod timekeeper;
pub mod upkeep;
pub mod watchdog;
