//! Keys and passwords: never blank, never shown.

use std::{fmt, str::FromStr};

/// Shows itself only when it is asked to.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// An empty secret would verify what anybody signs with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret must not be blank")]
pub struct BlankSecret;

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = BlankSecret;
    fn from_str(text: &str) -> Result<Self, BlankSecret> {
        match text.trim() {
            "" => Err(BlankSecret),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_blank_nor_shown() {
        assert_eq!("".parse::<Secret>(), Err(BlankSecret));
        assert_eq!(" \t".parse::<Secret>(), Err(BlankSecret));
        let secret: Secret = " whsec_1 ".parse().unwrap();
        assert_eq!(secret.reveal(), "whsec_1");
        assert!(!format!("{secret:?}").contains("whsec"));
    }
}
