//! Tenants as a reader knows them.
//!
//! A seller's parts above the reader's own seller are not the reader's business: they are shown as
//! that seller's. A platform key sees every part.

use crate::error::Error;
use crate::sources::{Reader, Sources};
use journal::OpenLink;
use prepare::lack::Lack;
use rating::{Cents, TenantId};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use tenants::Tenant;

/// One seller's share of a debit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Split<'a> {
    /// External id.
    #[schema(example = "muster-telecom")]
    pub tenant: &'a str,
    #[schema(example = 100)]
    pub cents: i64,
}

/// A link that is not charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = OpenLink)]
pub struct OpenLinkBody<'a> {
    /// External id of the buyer on the link.
    #[schema(example = "acme-42")]
    pub buyer: &'a str,
    #[schema(example = "no_agreement")]
    pub reason: &'a str,
    /// What the link lacks, in words. Only in the response to the reporting caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "the agreement begins at 2026-11-20T09:00:00Z")]
    pub detail: Option<&'a str>,
    /// Time from which the link has what it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub begins_at: Option<String>,
}

/// External ids of the tenants that an answer names, and what the caller may see of the sellers.
#[derive(Debug)]
pub struct Names {
    pub tenants: HashMap<TenantId, Arc<Tenant>>,
    /// Sellers above the caller's own seller.
    pub hidden: Vec<TenantId>,
    /// The caller's own seller, who stands for them.
    pub seller: Option<TenantId>,
}

impl Names {
    /// # Errors
    /// The records cannot be read.
    pub async fn of(
        sources: &Sources,
        reader: &Reader<'_>,
        ids: impl Iterator<Item = TenantId>,
    ) -> Result<Self, Error> {
        let above = reader
            .tenant
            .path
            .split_last()
            .map_or(&[][..], |(_own, above)| above);
        let (seller, hidden) = above
            .split_last()
            .map_or((None, &[][..]), |(seller, hidden)| (Some(*seller), hidden));
        let mut names = Self {
            tenants: HashMap::new(),
            hidden: hidden.to_vec(),
            seller,
        };
        for id in ids.chain(seller) {
            if let std::collections::hash_map::Entry::Vacant(place) = names.tenants.entry(id) {
                place.insert(sources.tenant(id).await?);
            }
        }
        Ok(names)
    }

    pub fn external_id(&self, id: TenantId) -> &str {
        self.tenants
            .get(&id)
            .map_or("", |tenant| tenant.external_id.as_str())
    }

    /// The parts as the caller may see them.
    pub fn splits(&self, parts: &[(TenantId, Cents)]) -> Vec<Split<'_>> {
        let mut shown: Vec<(TenantId, i64)> = Vec::with_capacity(parts.len());
        for &(tenant, cents) in parts {
            let tenant = if self.hidden.contains(&tenant) {
                self.seller.unwrap_or(tenant)
            } else {
                tenant
            };
            match shown.last_mut().filter(|(last, _)| *last == tenant) {
                Some((_, sum)) => *sum = sum.saturating_add(cents.0),
                None => shown.push((tenant, cents.0)),
            }
        }
        shown
            .into_iter()
            .map(|(tenant, cents)| Split {
                tenant: self.external_id(tenant),
                cents,
            })
            .collect()
    }

    /// Whether the caller may see the link of this buyer on a chain of its own: it buys there, or
    /// somebody below does.
    pub fn sees_link(&self, buyer: TenantId) -> bool {
        self.seller != Some(buyer) && !self.hidden.contains(&buyer)
    }

    /// Links that the caller may see.
    pub fn open<'a>(&'a self, open: &'a [OpenLink]) -> Vec<OpenLinkBody<'a>> {
        let seen = open.iter().filter(|open| self.sees_link(open.buyer));
        seen.map(|open| OpenLinkBody {
            buyer: self.external_id(open.buyer),
            reason: &open.reason,
            detail: None,
            begins_at: None,
        })
        .collect()
    }

    /// What links lack that the caller may see.
    pub fn lacking<'a>(&'a self, lacks: &'a [Lack]) -> Vec<OpenLinkBody<'a>> {
        let seen = lacks
            .iter()
            .filter_map(|lack| Some((lack.buyer.filter(|buyer| self.sees_link(*buyer))?, lack)));
        let shown = |(buyer, lack): (TenantId, &'a Lack)| OpenLinkBody {
            buyer: self.external_id(buyer),
            reason: lack.reason,
            detail: Some(&lack.detail),
            begins_at: lack.begins_at.map(|at| at.to_string()),
        };
        seen.map(shown).collect()
    }

    /// Open links, with what is known of them.
    pub fn explained<'a>(
        &'a self,
        open: &'a [OpenLink],
        lacks: &'a [Lack],
    ) -> Vec<OpenLinkBody<'a>> {
        let mut shown = self.lacking(lacks);
        let mut links = self.open(open);
        for link in &mut links {
            let known = shown
                .iter_mut()
                .find(|known| known.buyer == link.buyer && known.reason == link.reason);
            if let Some(known) = known {
                (link.detail, link.begins_at) = (known.detail, known.begins_at.take());
            }
        }
        links
    }

    /// Of the link that the reason is about, if the caller may see it.
    pub fn detail<'a>(&self, lacks: &'a [Lack], reason: &str) -> Option<&'a str> {
        let seen = |lack: &&Lack| {
            lack.reason == reason && lack.buyer.is_none_or(|buyer| self.sees_link(buyer))
        };
        lacks.iter().find(seen).map(|lack| lack.detail.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rating::Instant;
    use tenants::TenantKind;

    const PLATFORM: TenantId = TenantId(1);
    const MUSTER: TenantId = TenantId(2);
    const SUB: TenantId = TenantId(3);
    const ACME: TenantId = TenantId(4);

    fn tenant(id: TenantId, external_id: &str) -> (TenantId, Arc<Tenant>) {
        let tenant = Tenant {
            id,
            external_id: external_id.to_owned(),
            kind: TenantKind::Reseller,
            name: String::new(),
            parent: None,
            root: MUSTER,
            path: [PLATFORM, MUSTER, id].into_iter().collect(),
            country: None,
            late_window_days: 35,
            created_at: Instant(0),
            closed_at: None,
        };
        (id, Arc::new(tenant))
    }

    fn names(seller: Option<TenantId>, hidden: &[TenantId]) -> Names {
        let tenants = HashMap::from([
            tenant(PLATFORM, "platform"),
            tenant(MUSTER, "muster-telecom"),
            tenant(SUB, "sub"),
            tenant(ACME, "acme-42"),
        ]);
        Names {
            tenants,
            hidden: hidden.to_vec(),
            seller,
        }
    }

    #[test]
    fn parts_above_ones_own_seller_are_shown_as_the_sellers() {
        let parts = [
            (PLATFORM, Cents(200)),
            (MUSTER, Cents(100)),
            (SUB, Cents(100)),
        ];
        for (names, want) in [
            (
                names(None, &[]),
                &[("platform", 200), ("muster-telecom", 100), ("sub", 100)][..],
            ),
            (
                names(Some(MUSTER), &[PLATFORM]),
                &[("muster-telecom", 300), ("sub", 100)],
            ),
            (names(Some(SUB), &[PLATFORM, MUSTER]), &[("sub", 400)]),
        ] {
            let shown: Vec<(&str, i64)> = names
                .splits(&parts)
                .iter()
                .map(|split| (split.tenant, split.cents))
                .collect();
            assert_eq!(shown, want);
        }
    }

    #[test]
    fn open_links_above_ones_own_are_not_told() {
        let open = |buyer, reason: &str| OpenLink {
            buyer,
            reason: reason.into(),
        };
        let links = [open(ACME, "no_rate"), open(SUB, "no_agreement")];
        let buyers = |names: &Names| -> Vec<String> {
            let shown = names.open(&links);
            shown.iter().map(|link| link.buyer.to_owned()).collect()
        };
        assert_eq!(buyers(&names(None, &[])), ["acme-42", "sub"]);
        assert_eq!(
            buyers(&names(Some(SUB), &[PLATFORM, MUSTER])),
            ["acme-42"],
            "its seller's own link is the seller's affair"
        );
    }
}
