//! What is done with a database as a whole: backup, restore, moving to another one, the audit, and a
//! quick look at how it stands. It knows every capability's tables, and no capability knows it.

pub mod audit;
pub mod backup;
pub mod health;
mod health_postgres;
pub mod moving;

pub use health_postgres::look_at_database;
