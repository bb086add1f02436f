//! What the values of settings may be, with what was expected.

use clap::builder::ValueParser;
use std::net::SocketAddr;

/// A number that must not be 0.
pub(crate) fn at_least_one<
    N: std::str::FromStr + PartialOrd + From<u8> + Clone + Send + Sync + 'static,
>() -> ValueParser {
    let parse = |text: &str| match text.parse::<N>() {
        Ok(number) if number >= N::from(1) => Ok(number),
        _ => Err("expected a whole number of at least 1".to_owned()),
    };
    ValueParser::new(parse)
}

/// Bytes of a body: what is asked most must fit.
pub fn body_bytes() -> ValueParser {
    const LEAST: usize = 65_536;
    let parse = |text: &str| match text.parse::<usize>() {
        Ok(bytes) if bytes >= LEAST => Ok(bytes),
        _ => Err(format!(
            "expected a whole number of bytes, at least {LEAST}"
        )),
    };
    ValueParser::new(parse)
}

/// Connections: no more than a semaphore counts.
pub fn connections() -> ValueParser {
    const MOST: usize = 1_000_000;
    let parse = |text: &str| match text.parse::<usize>() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from 1 to {MOST}")),
    };
    ValueParser::new(parse)
}

/// Seconds, at least so many.
pub fn seconds(least: u64) -> ValueParser {
    let parse = move |text: &str| match text.parse::<u64>() {
        Ok(seconds) if seconds >= least => Ok(seconds),
        _ => Err(format!(
            "expected a whole number of seconds, at least {least}, without a unit (20 and not 20s)"
        )),
    };
    ValueParser::new(parse)
}

/// Where to listen.
pub fn address() -> ValueParser {
    let parse = |text: &str| {
        let expected = "expected an IP address and a port, such as 127.0.0.1:8080, [::1]:8080 or \
            0.0.0.0:8080 (names such as localhost are not looked up)";
        text.parse::<SocketAddr>().map_err(|_| expected.to_owned())
    };
    ValueParser::new(parse)
}
