//! What ingest answers, written straight from the engine's answers into bytes.

use journal::OpenLink;
use metering::requests::{EventAnswer, Outcome, Posted};
use prepare::lack::Lack;
use rating::TenantId;
use reports::names::{Names, OpenLinkBody, Split};
use schema::words;
use serde::Serialize;
use web::problem::{FieldError, ProblemBody, problem_body};

/// Response to one event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"id": "0192f1", "status": "rated", "currency": "EUR", "debit_cents": 400,
    "splits": [{"tenant": "platform", "cents": 300}, {"tenant": "muster-telecom", "cents": 100}], "balance_cents": 4600}))]
pub struct EventBody<'a> {
    pub id: &'a str,
    /// `rated`, `partly_rated` (some links are `open`), `duplicate`, `unrated` or `rejected`.
    #[schema(value_type = words::EventStatus)]
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<&'static str>,
    /// Amount debited from the customer, in minor units (negative: credited back).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit_cents: Option<i64>,
    /// From the top down; the sum is `debit_cents`. Negative: a seller that pays for usage its own
    /// buyer is not charged for yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<Vec<Split<'a>>>,
    /// The customer's balance afterwards (for a duplicate: its current balance).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_cents: Option<i64>,
    /// Cents by which a capture exceeds its hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_hold_cents: Option<i64>,
    /// A tenant below had reported the event with different content. That report was voided in the
    /// same step.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overruled: bool,
    /// A `duplicate` of an event that has been voided since: the original `debit_cents` and
    /// `splits` are no longer owed and are omitted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub voided: bool,
    /// Reason why the event is kept without a price, or without one on some links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The reason in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    /// Links that are not charged, starting with the customer's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenLinkBody<'a>>,
    /// Why the event is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemBody<'a>>,
}

/// Number of events of a batch by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    pub rated: usize,
    /// Charged on their upper links and kept for the others.
    #[serde(skip_serializing_if = "is_zero")]
    pub partly_rated: usize,
    pub duplicate: usize,
    pub unrated: usize,
    pub rejected: usize,
    /// Switch records that are not usage: unanswered calls, second legs.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Response to a batch: one result per event, in order (with `Prefer: return=minimal`, only the
/// failed ones).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BatchBody<'a> {
    pub data: Vec<EventBody<'a>>,
    pub counts: Counts,
}

/// Response to one event or to a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = UsageAnswer)]
#[expect(
    clippy::large_enum_variant,
    dead_code,
    reason = "it describes the answer and is never made"
)]
pub enum UsageAnswer<'a> {
    One(EventBody<'a>),
    Batch(BatchBody<'a>),
}

const NO_ERRORS: &[FieldError] = &[];

fn partly<'a>(
    names: &'a Names,
    id: &'a str,
    posted: &Posted,
    open: &'a [OpenLink],
    lacks: &'a [Lack],
) -> EventBody<'a> {
    let body = posted_body(names, id, "partly_rated", posted);
    let own_is_open = open.iter().any(|open| open.buyer == posted.customer);
    EventBody {
        balance_cents: body.balance_cents.filter(|_| !own_is_open),
        reason: open.first().map(|open| open.reason.as_str()),
        detail: open
            .first()
            .and_then(|open| names.detail(lacks, &open.reason)),
        open: names.explained(open, lacks),
        ..body
    }
}

pub fn event<'a>(names: &'a Names, answer: &'a EventAnswer) -> EventBody<'a> {
    let id = answer.id.as_str();
    match &answer.outcome {
        Outcome::Rated(posted) => posted_body(names, id, "rated", posted),
        Outcome::PartlyRated { posted, open, .. } => partly(names, id, posted, open, &answer.lacks),
        Outcome::Duplicate(posted) if answer.voided => EventBody {
            voided: true,
            debit_cents: None,
            splits: None,
            ..posted_body(names, id, "duplicate", posted)
        },
        Outcome::Duplicate(posted) => posted_body(names, id, "duplicate", posted),
        Outcome::Unrated { reason, .. } => EventBody {
            reason: Some(reason),
            detail: names.detail(&answer.lacks, reason),
            open: names.lacking(&answer.lacks),
            ..bare(id, "unrated")
        },
        Outcome::Rejected(problem) => EventBody {
            problem: Some(problem_body(problem, NO_ERRORS, None)),
            ..bare(id, "rejected")
        },
    }
}

fn posted_body<'a>(
    names: &'a Names,
    id: &'a str,
    status: &'static str,
    posted: &Posted,
) -> EventBody<'a> {
    EventBody {
        currency: Some(posted.currency.code()),
        debit_cents: Some(posted.debit.0),
        splits: Some(names.splits(&posted.splits)),
        balance_cents: Some(posted.balance.0),
        over_hold_cents: posted.over_hold.map(|cents| cents.0),
        overruled: posted.overruled.is_some(),
        ..bare(id, status)
    }
}

fn bare<'a>(id: &'a str, status: &'static str) -> EventBody<'a> {
    EventBody {
        id,
        status,
        currency: None,
        debit_cents: None,
        splits: None,
        balance_cents: None,
        over_hold_cents: None,
        overruled: false,
        voided: false,
        reason: None,
        detail: None,
        open: Vec::new(),
        problem: None,
    }
}

/// The tenants that answers name.
pub fn sellers(answers: &[EventAnswer]) -> impl Iterator<Item = TenantId> + '_ {
    answers.iter().flat_map(|answer| match &answer.outcome {
        Outcome::Rated(posted) | Outcome::Duplicate(posted) => posted
            .splits
            .iter()
            .map(|(tenant, _)| *tenant)
            .collect::<smallvec::SmallVec<[_; 4]>>(),
        Outcome::PartlyRated { posted, open, .. } => posted
            .splits
            .iter()
            .map(|(tenant, _)| *tenant)
            .chain(open.iter().map(|open| open.buyer))
            .collect(),
        Outcome::Unrated { .. } => answer.lacks.iter().filter_map(|lack| lack.buyer).collect(),
        Outcome::Rejected(_) => smallvec::SmallVec::new(),
    })
}

pub fn count(answers: &[EventAnswer]) -> Counts {
    let mut counts = Counts::default();
    for answer in answers {
        let place = match answer.outcome {
            Outcome::Rated(_) => &mut counts.rated,
            Outcome::PartlyRated { .. } => &mut counts.partly_rated,
            Outcome::Duplicate(_) => &mut counts.duplicate,
            Outcome::Unrated { .. } => &mut counts.unrated,
            Outcome::Rejected(_) => &mut counts.rejected,
        };
        *place += 1;
    }
    counts
}

/// The body of a batch; `minimal`: only what failed.
pub fn batch<'a>(names: &'a Names, answers: &'a [EventAnswer], minimal: bool) -> BatchBody<'a> {
    let failed = |answer: &&EventAnswer| {
        matches!(
            answer.outcome,
            Outcome::PartlyRated { .. } | Outcome::Unrated { .. } | Outcome::Rejected(_)
        )
    };
    let data = answers
        .iter()
        .filter(|answer| !minimal || failed(answer))
        .map(|answer| event(names, answer))
        .collect();
    BatchBody {
        data,
        counts: count(answers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::Seq;
    use problem::{Code, Problem};
    use rating::{Cents, Currency, Instant};
    use std::collections::HashMap;
    use std::sync::Arc;
    use tenants::{Tenant, TenantKind};

    const PLATFORM: TenantId = TenantId(1);
    const MUSTER: TenantId = TenantId(2);
    const ACME: TenantId = TenantId(4);

    fn tenant(id: TenantId, external_id: &str) -> (TenantId, Arc<Tenant>) {
        let tenant = Tenant {
            id,
            external_id: external_id.to_owned(),
            kind: TenantKind::Reseller,
            name: String::new(),
            parent: None,
            root: MUSTER,
            path: smallvec::smallvec![PLATFORM, MUSTER, id],
            country: None,
            late_window_days: 35,
            created_at: Instant(0),
            closed_at: None,
        };
        (id, Arc::new(tenant))
    }

    fn names() -> Names {
        let tenants = HashMap::from([
            tenant(PLATFORM, "platform"),
            tenant(MUSTER, "muster-telecom"),
        ]);
        Names {
            tenants,
            hidden: Vec::new(),
            seller: None,
        }
    }

    fn rated(splits: &[(TenantId, i64)]) -> EventAnswer {
        let posted = Posted {
            seq: Seq(1),
            customer: ACME,
            currency: Currency::EUR,
            debit: Cents(splits.iter().map(|(_, cents)| cents).sum()),
            splits: splits
                .iter()
                .map(|&(tenant, cents)| (tenant, Cents(cents)))
                .collect(),
            balance: Cents(4600),
            over_hold: None,
            overruled: None,
        };
        EventAnswer {
            id: "0192f1".to_owned(),
            outcome: Outcome::Rated(posted),
            lacks: Vec::new(),
            voided: false,
        }
    }

    #[test]
    fn the_reference_call_is_answered_as_documented() {
        let answer = rated(&[(PLATFORM, 300), (MUSTER, 100)]);
        let text = serde_json::to_string(&event(&names(), &answer)).unwrap();
        assert_eq!(
            text,
            r#"{"id":"0192f1","status":"rated","currency":"EUR","debit_cents":400,"splits":[{"tenant":"platform","cents":300},{"tenant":"muster-telecom","cents":100}],"balance_cents":4600}"#
        );
    }

    #[test]
    fn minimal_answers_count_everything_and_show_what_failed() {
        let refused = EventAnswer {
            id: "x".to_owned(),
            outcome: Outcome::Rejected(Problem::field(Code::InvalidField, "quantity", "negative")),
            lacks: Vec::new(),
            voided: false,
        };
        let kept = EventAnswer {
            id: "y".to_owned(),
            outcome: Outcome::Unrated {
                reason: "no_rate".to_owned(),
                duplicate: false,
            },
            lacks: Vec::new(),
            voided: false,
        };
        let answers = [rated(&[(PLATFORM, 1)]), refused, kept];
        let names = names();
        let body = batch(&names, &answers, true);
        assert_eq!(
            body.counts,
            Counts {
                rated: 1,
                unrated: 1,
                rejected: 1,
                ..Counts::default()
            }
        );
        assert_eq!(
            body.data.iter().map(|event| event.id).collect::<Vec<_>>(),
            ["x", "y"]
        );
        assert_eq!(batch(&names, &answers, false).data.len(), 3);
    }
}
