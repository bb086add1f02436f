//! What bodies look like in the OpenAPI document, whoever makes or reads them: the words that a field
//! may have, lists, rate cards, reports of usage. Nothing here is asked or answered.

pub mod card;
pub mod list;
pub mod usage;
pub mod words;
