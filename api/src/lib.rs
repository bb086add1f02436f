//! HTTP, command line, configuration: everything is put together here.

pub mod cli;
