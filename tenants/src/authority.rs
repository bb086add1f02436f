//! Who may set which terms: who collects grants the credit.
//!
//! The platform sets all of them. A seller below it writes its own buyers' terms within what the
//! platform allowed: credit on money that the platform collects within a cap (none by default), and
//! never a change of who collects. What a seller gives in its own book is its own affair.

use crate::{Agreement, Collect, OnExhausted};
use problem::Code;
use rating::{Cents, Instant, TenantId};
use std::borrow::Cow;

/// Who writes terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    Platform,
    /// A seller of the buyer, or one above it, below the platform.
    Seller,
}

/// Why terms are not for their author to set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NotAllowed {
    /// Stable: part of the API.
    pub code: Code,
    pub field: &'static str,
    pub detail: Cow<'static, str>,
}

fn refuse(
    code: Code,
    field: &'static str,
    detail: impl Into<Cow<'static, str>>,
) -> Result<(), NotAllowed> {
    Err(NotAllowed {
        code,
        field,
        detail: detail.into(),
    })
}

/// How much credit may be given to one buyer that the platform collects from: what each of its
/// sellers may. `sellers`: from below the platform down, each with its agreement in force, if there
/// is one.
pub fn credit_cap<'a>(sellers: impl IntoIterator<Item = Option<&'a Agreement>>) -> Cents {
    let caps = sellers
        .into_iter()
        .map(|terms| terms.map_or(Cents::ZERO, |terms| terms.credit_cap));
    caps.min().unwrap_or(Cents::ZERO)
}

/// What a seller below the platform agrees with a buyer. `sellers` as for [`credit_cap`]; `others`:
/// every agreement of the buyer, past and future. Order of checks: collect, credit, cap, what is
/// done when the balance is used up.
///
/// # Errors
/// `platform_sets_collect`, `credit_above_cap`, `only_tighter`.
pub fn check_seller(
    new: &Agreement,
    sellers: &[Option<&Agreement>],
    others: &[Agreement],
) -> Result<(), NotAllowed> {
    check_collect(new, sellers, others)?;
    let cap = credit_cap(sellers.iter().copied());
    if new.collect == Collect::Platform && new.credit_limit.is_none_or(|limit| limit > cap) {
        let detail = format!(
            "the platform collects this buyer's money and allows its seller to give {cap} cents \
                of credit at most"
        );
        return refuse(Code::CreditAboveCap, "credit_limit_cents", detail);
    }
    if new.credit_cap > cap {
        let detail =
            format!("a seller may pass on at most what it was allowed itself: {cap} cents");
        return refuse(Code::CreditAboveCap, "credit_cap_cents", detail);
    }
    check_on_exhausted(new, others)
}

/// A seller's terms may begin before they are agreed on only if they are the buyer's first: what
/// was charged stays charged at the terms that were known then. Those behind all others may begin
/// with the minute that has begun.
///
/// # Errors
/// `terms_of_the_past`.
pub fn check_beginning(
    new: &Agreement,
    others: &[Agreement],
    now: Instant,
) -> Result<(), NotAllowed> {
    let others = || others.iter().filter(|other| other.id != new.id);
    let (is_first, is_last) = (
        others().next().is_none(),
        others().all(|other| other.from < new.from),
    );
    if is_first || new.from >= now || (new.from >= now.minute() && is_last) {
        Ok(())
    } else {
        refuse_past("from", now)
    }
}

/// A seller ends terms from now on; and it lets none last longer that somebody above it agreed on,
/// which would be its own from then on. `ended`: before; `author`: the path of the buyer, and who
/// ends them.
///
/// # Errors
/// `terms_of_the_past`, `terms_from_above`.
pub fn check_end(
    new: &Agreement,
    ended: Option<Instant>,
    (path, author): (&[TenantId], TenantId),
    now: Instant,
) -> Result<(), NotAllowed> {
    // Within the present minute, but for its beginning: there a month may have begun.
    if new
        .until
        .is_some_and(|until| until < now && until <= now.minute())
    {
        return refuse_past("until", now);
    }
    if is_longer(new.until, ended)
        && ended.is_some_and(|ended| ended < now && ended <= now.minute())
    {
        return refuse(
            Code::TermsOfThePast,
            "until",
            "these terms have ended: agree on new ones",
        );
    }
    let place = |tenant: Option<TenantId>| {
        path.iter()
            .position(|one| Some(*one) == tenant)
            .unwrap_or(0)
    };
    if is_longer(new.until, ended) && place(new.author) < place(Some(author)) {
        let detail = "these terms were set from above, and can be extended only from there: \
            agree on new ones from their end on";
        return refuse(Code::TermsFromAbove, "until", detail);
    }
    Ok(())
}

fn refuse_past(field: &'static str, now: Instant) -> Result<(), NotAllowed> {
    refuse(
        Code::TermsOfThePast,
        field,
        format!("only the platform may change terms of the past: expected {now} or later"),
    )
}

fn is_longer(until: Option<Instant>, ended: Option<Instant>) -> bool {
    ended.is_some_and(|ended| until.is_none_or(|until| ended < until))
}

/// Whether the buyer's money is collected by another before or after these terms, whatever lies
/// between.
pub fn changes_collect(new: &Agreement, others: &[Agreement]) -> bool {
    let others = || others.iter().filter(|other| other.id != new.id);
    let before = others()
        .filter(|other| other.from <= new.from)
        .max_by_key(|other| other.from);
    let after = others()
        .filter(|other| other.from > new.from)
        .min_by_key(|other| other.from);
    [before, after]
        .into_iter()
        .flatten()
        .any(|other| other.collect != new.collect)
}

/// The first agreement takes what the seller's own link allows; after that only the platform
/// changes it.
fn check_collect(
    new: &Agreement,
    sellers: &[Option<&Agreement>],
    others: &[Agreement],
) -> Result<(), NotAllowed> {
    if changes_collect(new, others) {
        return refuse(
            Code::PlatformSetsCollect,
            "collect",
            "only the platform may change who collects a buyer's money",
        );
    }
    let is_collected =
        |terms: &Option<&Agreement>| terms.is_some_and(|terms| terms.collect == Collect::Platform);
    if new.collect == Collect::Platform && !sellers.iter().all(is_collected) {
        let detail = "the platform does not collect for this seller: its agreement in force does \
            not say `collect: platform`";
        return refuse(Code::PlatformSetsCollect, "collect", detail);
    }
    Ok(())
}

/// `refuse` is tighter than `post`.
fn check_on_exhausted(new: &Agreement, others: &[Agreement]) -> Result<(), NotAllowed> {
    let before = others
        .iter()
        .filter(|other| other.id != new.id && other.from <= new.from)
        .max_by_key(|other| other.from);
    let refuses = before.is_some_and(|before| before.on_exhausted == OnExhausted::Refuse);
    if new.collect == Collect::Platform && refuses && new.on_exhausted == OnExhausted::Post {
        return refuse(
            Code::OnlyTighter,
            "on_exhausted",
            "only the platform may let usage of this buyer post again without a covering balance",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::agreement;
    use rating::{AgreementId, Instant};

    /// Buyer 4 of seller 3, which buys from 2, which buys from the platform.
    fn sellers(caps: [i64; 2]) -> [Agreement; 2] {
        let own = |buyer: i64, cap: i64| Agreement {
            credit_cap: Cents(cap),
            ..agreement(buyer, buyer - 1)
        };
        [own(2, caps[0]), own(3, caps[1])]
    }

    #[track_caller]
    fn check(
        new: Agreement,
        sellers: &[Agreement],
        others: &[Agreement],
        want: Result<(), (Code, &str)>,
    ) {
        let sellers: Vec<Option<&Agreement>> = sellers.iter().map(Some).collect();
        assert_eq!(
            check_seller(&new, &sellers, others).map_err(|not| (not.code, not.field)),
            want,
            "{new:?}"
        );
    }

    #[test]
    fn credit_on_what_the_platform_collects_stays_within_the_least_cap_above() {
        const ABOVE: Result<(), (Code, &str)> = Err((Code::CreditAboveCap, "credit_limit_cents"));
        let credit = |cents: Option<i64>| Agreement {
            credit_limit: cents.map(Cents),
            ..agreement(4, 3)
        };
        check(credit(Some(0)), &sellers([0, 0]), &[], Ok(()));
        for (caps, limit, want) in [
            ([0, 0], Some(1), ABOVE),
            ([0, 0], None, ABOVE),
            ([500, 0], Some(500), ABOVE),
            ([300, 500], Some(301), ABOVE),
            ([300, 500], Some(300), Ok(())),
            ([300, 500], None, ABOVE),
        ] {
            check(credit(limit), &sellers(caps), &[], want);
            // In its own book a seller gives what it likes.
            check(
                Agreement {
                    collect: Collect::Reseller,
                    ..credit(limit)
                },
                &sellers(caps),
                &[],
                Ok(()),
            );
        }
        let passed_on = |cents: i64| Agreement {
            credit_cap: Cents(cents),
            ..credit(Some(0))
        };
        check(passed_on(300), &sellers([300, 300]), &[], Ok(()));
        check(
            passed_on(301),
            &sellers([300, 400]),
            &[],
            Err((Code::CreditAboveCap, "credit_cap_cents")),
        );
        assert_eq!(
            check_seller(&credit(Some(1)), &[None], &[]).map_err(|not| not.code),
            Err(Code::PlatformSetsCollect)
        );
    }

    #[test]
    fn who_collects_is_changed_by_the_platform_alone() {
        const REFUSED: Result<(), (Code, &str)> = Err((Code::PlatformSetsCollect, "collect"));
        let of = |collect, from, until: Option<i64>| {
            let (from, until) = (Instant(from), until.map(Instant));
            Agreement {
                id: AgreementId(100 + from.0),
                collect,
                from,
                until,
                ..agreement(4, 3)
            }
        };
        for (is, was) in [
            (Collect::Platform, Collect::Reseller),
            (Collect::Reseller, Collect::Platform),
        ] {
            for other in [of(was, 0, Some(10)), of(was, 900, None)] {
                check(of(is, 10, Some(900)), &sellers([0, 0]), &[other], REFUSED);
            }
            check(
                of(is, 10, None),
                &sellers([0, 0]),
                &[of(is, 0, Some(10))],
                Ok(()),
            );
            // What the platform changed long ago is no obstacle.
            check(
                of(is, 10, None),
                &sellers([0, 0]),
                &[of(was, 0, Some(5)), of(is, 5, Some(10))],
                Ok(()),
            );
        }
        // A first one takes what the seller's own link allows.
        let in_own_book = sellers([0, 0]).map(|terms| Agreement {
            collect: Collect::Reseller,
            ..terms
        });
        check(of(Collect::Reseller, 0, None), &in_own_book, &[], Ok(()));
        check(of(Collect::Platform, 0, None), &in_own_book, &[], REFUSED);
    }

    #[test]
    fn what_is_done_when_the_balance_is_used_up_is_only_tightened() {
        let of = |on_exhausted, from, until: Option<i64>| {
            let (from, until) = (Instant(from), until.map(Instant));
            Agreement {
                id: AgreementId(100 + from.0),
                on_exhausted,
                from,
                until,
                ..agreement(4, 3)
            }
        };
        let (post, refuse) = (OnExhausted::Post, OnExhausted::Refuse);
        check(
            of(refuse, 10, None),
            &sellers([0, 0]),
            &[of(post, 0, Some(10))],
            Ok(()),
        );
        check(
            of(refuse, 10, None),
            &sellers([0, 0]),
            &[of(refuse, 0, Some(10))],
            Ok(()),
        );
        check(
            of(post, 10, None),
            &sellers([0, 0]),
            &[of(refuse, 0, Some(10))],
            Err((Code::OnlyTighter, "on_exhausted")),
        );
    }

    /// 12:00:40 of the first day.
    const NOW: Instant = Instant(43_240_000_000);

    #[test]
    fn a_seller_leaves_the_past_as_it_was() {
        let at = |secs: i64| NOW.minute().plus_secs(secs);
        let of = |id, from: Instant, until| Agreement {
            id: AgreementId(id),
            from,
            until,
            ..agreement(4, 3)
        };
        let past = |checked: Result<(), NotAllowed>| checked.err().map(|not| (not.code, not.field));
        assert_eq!(
            past(check_beginning(&of(2, Instant(0), None), &[], NOW)),
            None,
            "the buyer's first"
        );
        let over = of(1, Instant(7), Some(at(0)));
        for (from, before_others, behind_them) in [
            (0, true, false),
            (20, true, false),
            (40, false, false),
            (-1, true, true),
        ] {
            let check = |other: Agreement| {
                past(check_beginning(
                    &of(3, at(from), None),
                    &[over.clone(), other],
                    NOW,
                ))
            };
            let want = |is_past| {
                if is_past {
                    Some((Code::TermsOfThePast, "from"))
                } else {
                    None
                }
            };
            assert_eq!(check(of(2, at(30), None)), want(before_others), "{from}");
            assert_eq!(check(of(2, Instant(3), None)), want(behind_them), "{from}");
        }
        for (until, is_past) in [(-1, true), (0, true), (1, false), (40, false)] {
            let want = is_past.then_some((Code::TermsOfThePast, "until"));
            assert_eq!(
                past(check_end(
                    &of(1, Instant(7), Some(at(until))),
                    None,
                    (&[], TenantId(3)),
                    NOW
                )),
                want,
                "{until}"
            );
        }
    }

    #[test]
    fn only_who_agreed_or_one_above_lets_terms_last_longer() {
        let path = [1, 2, 3, 4].map(TenantId);
        for (author, by, longer) in [
            (Some(3), 3, true),
            (Some(3), 2, true),
            (Some(2), 3, false),
            (Some(1), 2, false),
            (None, 2, false),
            (None, 1, true),
        ] {
            let terms = |until| Agreement {
                author: author.map(TenantId),
                until: Some(until),
                ..agreement(4, 3)
            };
            let [sooner, later] = [100, 300].map(|secs| NOW.plus_secs(secs));
            let check = |until, ended| {
                check_end(&terms(until), Some(ended), (&path, TenantId(by)), NOW)
                    .map_err(|not| not.code)
            };
            assert_eq!(
                check(later, sooner),
                if longer {
                    Ok(())
                } else {
                    Err(Code::TermsFromAbove)
                },
                "{author:?} by {by}"
            );
            assert_eq!(check(sooner, later), Ok(()));
        }
    }
}
