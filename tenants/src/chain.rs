//! The agreements from a customer up to the platform at an instant.

use crate::Agreement;
use rating::TenantId;
use smallvec::SmallVec;

/// One link of a chain: what the buyer owes its seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub agreement: Agreement,
}

/// Links from the customer's own (first) up to the platform's (last); at most [`crate::CHAIN_LINKS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub root: TenantId,
    pub customer: TenantId,
    pub links: SmallVec<[Link; 3]>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("no agreement between {buyer} and its seller was in force")]
    NoAgreement { buyer: TenantId },
    #[error("the chain has more than {} links", crate::CHAIN_LINKS_MAX)]
    TooLong,
    #[error("the agreements of the chain are in different currencies")]
    Currencies,
    #[error("below a link collected by the platform no link may be collected by a reseller, seen from the top")]
    Collection,
    #[error("the customer's own link has no rate card")]
    NoPrice,
}
