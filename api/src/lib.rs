//! HTTP, command line, configuration: everything is put together here.

pub mod archive;
pub mod auth;
pub mod backups;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod database_url;
pub mod demo;
pub mod gauges;
pub mod http;
pub mod key_uses;
pub mod limits;
pub mod notifier;
pub mod paying;
pub mod payouts;
pub mod plant;
pub mod problem;
mod readiness;
pub mod reload;
pub mod restoration;
pub mod server;
pub mod settings;
pub mod slots;
pub mod state;
pub mod timekeeper;
pub mod watchdog;
