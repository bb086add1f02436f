//! Which versions of a card are in force, from when until when, and which wait for an approval from
//! above.

use catalog::{CardVersion, RateCard, VersionStatus};
use prepare::plan;
use rating::card::CardDoc;
use rating::{Instant, TenantId};
use schema::card::RateCardDocument;
use schema::words;
use serde::Serialize;
use std::sync::Arc;
use tenants::Agreement;
use web::auth;
use web::problem::{ApiProblem, FieldError};
use web::state::App;

/// A version of a rate card.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CardVersion)]
pub struct VersionBody {
    #[schema(example = "ver_0dks8xn2a4m1c")]
    pub id: String,
    /// Number of the version within its card: 1, 2, 3 …
    #[schema(example = 1)]
    pub number: i64,
    /// `draft`, `published`, or `awaiting_approval`: published (at `published_at`) by a seller
    /// under a commission, without effect until a seller above has approved it.
    #[schema(value_type = words::CardVersionStatus, example = "published")]
    pub status: &'static str,
    /// In force from this time until the next published version takes effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub effective_from: Option<String>,
    /// Exclusive: time at which the next effective version begins. It is in the past for a version
    /// that was published with an earlier beginning than the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub effective_until: Option<String>,
    /// Whether this version is in force now. Absent for drafts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<bool>,
    /// While approval is pending: number of the version that is in force now. Absent: none, and
    /// usage is kept as `card_not_approved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pub in_force_instead: Option<i64>,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub published_at: Option<String>,
    /// The prices. Not included in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RateCardDocument>)]
    pub card: Option<CardDoc>,
    /// In the response to its publication: parts of the card that have no effect yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<FieldError>,
}

/// The published versions of a card, and whose approval they need now.
#[derive(Debug)]
pub struct Versions {
    published: Vec<CardVersion>,
    /// Where a commission above is taken from these prices; mostly nobody's.
    approvers: Option<Arc<[TenantId]>>,
    owner: TenantId,
    now: Instant,
}

impl Versions {
    /// As they are stored at the moment.
    pub async fn of(app: &App, card: &RateCard) -> Result<Self, ApiProblem> {
        let now = app.clock.now();
        let published = app.catalog.published_versions(card.id).await?;
        Ok(Self {
            published,
            approvers: approvers(app, card.owner, now).await?,
            owner: card.owner,
            now,
        })
    }

    fn is_approved(&self, version: &CardVersion) -> bool {
        let by = version.approved_by.unwrap_or(self.owner);
        self.approvers
            .as_ref()
            .is_none_or(|approvers| approvers.contains(&by))
    }

    /// Those that count, by the instant they take effect.
    fn counting(&self) -> impl DoubleEndedIterator<Item = &CardVersion> {
        self.published
            .iter()
            .filter(|version| self.is_approved(version))
    }

    fn in_force(&self) -> Option<&CardVersion> {
        self.counting()
            .rev()
            .find(|version| version.effective_from.is_some_and(|from| from <= self.now))
    }

    pub fn shown(&self, version: CardVersion, card: Option<CardDoc>) -> VersionBody {
        let is_published = version.status == VersionStatus::Published;
        let is_waiting = is_published && !self.is_approved(&version);
        let next = self
            .counting()
            .filter_map(|other| other.effective_from)
            .find(|from| Some(*from) > version.effective_from);
        let present = self.in_force();
        VersionBody {
            id: version.id.to_string(),
            number: version.number,
            status: match version.status {
                VersionStatus::Draft => "draft",
                VersionStatus::Published if is_waiting => "awaiting_approval",
                VersionStatus::Published => "published",
            },
            effective_from: version.effective_from.map(|at| at.to_string()),
            effective_until: next
                .filter(|_| is_published && !is_waiting)
                .map(|at| at.to_string()),
            in_force: is_published.then(|| present.is_some_and(|present| present.id == version.id)),
            in_force_instead: present.filter(|_| is_waiting).map(|present| present.number),
            created_at: version.created_at.to_string(),
            published_at: version.published_at.map(|at| at.to_string()),
            card,
            warnings: Vec::new(),
        }
    }
}

/// Whose approval the prices of a seller need by the agreements above it, in force now or the next
/// to be.
async fn approvers(
    app: &App,
    owner: TenantId,
    now: Instant,
) -> Result<Option<Arc<[TenantId]>>, ApiProblem> {
    let owner = auth::tenant_by_id(app, owner).await?;
    let mut above: Vec<Agreement> = Vec::new();
    for buyer in owner
        .path
        .iter()
        .rev()
        .filter(|tenant| **tenant != app.platform)
    {
        let terms = app.sources.agreements_of(*buyer).await?;
        let present = terms.iter().find(|terms| terms.in_force(now));
        let next = || {
            terms
                .iter()
                .filter(|terms| terms.from > now)
                .min_by_key(|terms| terms.from)
        };
        match present.or_else(next) {
            Some(terms) => above.push(terms.clone()),
            None => break,
        }
    }
    Ok(plan::approvers(&above.iter().collect::<Vec<_>>()))
}
