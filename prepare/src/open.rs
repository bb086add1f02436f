//! Links that cannot be charged, and why.

use journal::OpenLink;
use rating::TenantId;

/// A link that cannot be charged now, with the stable code of the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub buyer: TenantId,
    pub reason: &'static str,
}

impl Open {
    #[inline]
    pub fn link(self) -> OpenLink {
        OpenLink {
            buyer: self.buyer,
            reason: self.reason.into(),
        }
    }
}

/// Why a commission has no price while that of the link below it is not known.
pub const BELOW_UNKNOWN: &str = "price_below_unknown";

/// Where the links begin that can be charged, with those below them. `links`: buyers from the
/// customer's own up, each with its own reason not to be charged. Upper links do not depend on
/// lower ones. A lower link is not charged while one above it is open: else its seller would earn
/// on what it does not pay for.
pub fn cut(links: &[(TenantId, Option<&'static str>)]) -> (usize, Vec<Open>) {
    let first = links
        .iter()
        .rposition(|(_, reason)| reason.is_some())
        .map_or(0, |last| last + 1);
    let open = |&(buyer, reason): &(TenantId, Option<&'static str>)| Open {
        buyer,
        reason: reason.unwrap_or(tenants::chain::ABOVE_OPEN),
    };
    (first, links[..first].iter().map(open).collect())
}

/// The reason that an event is kept for: of the link nearest to the customer that has one of its
/// own.
pub fn reason(open: &[Open]) -> &'static str {
    let own = open
        .iter()
        .find(|open| ![tenants::chain::ABOVE_OPEN, BELOW_UNKNOWN].contains(&open.reason));
    own.or(open.first()).map_or("no_rate", |open| open.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_above_the_last_obstacle_are_charged() {
        let table: [(&[Option<&str>], &[&str]); 5] = [
            (&[None, None, None], &[]),
            (&[Some("no_rate"), None, None], &["no_rate"]),
            (
                &[None, Some("no_rate"), None],
                &["link_above_open", "no_rate"],
            ),
            (
                &[Some("no_rate"), Some(BELOW_UNKNOWN), None],
                &["no_rate", BELOW_UNKNOWN],
            ),
            (
                &[Some("no_rate"), None, Some("overflow")],
                &["no_rate", "link_above_open", "overflow"],
            ),
        ];
        for (links, want) in table {
            let links: Vec<_> = links
                .iter()
                .zip(2_i64..)
                .map(|(reason, buyer)| (TenantId(buyer), *reason))
                .collect();
            let (first, open) = cut(&links);
            assert_eq!(
                (
                    first,
                    open.iter().map(|open| open.reason).collect::<Vec<_>>()
                ),
                (want.len(), want.to_vec())
            );
        }
    }
}
