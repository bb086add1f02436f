//! Usage in, money moved: validate, dedupe, chain, rate, batch, commit, reply.

pub mod command;
pub mod input;
pub mod numbers;
