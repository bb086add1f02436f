//! Whose a payment is that has no row yet: by the page it came from, or by the charge we asked for.

use crate::rows::{Origin, Payment, PaymentRows, TopUp};
use crate::service::{PaymentService, provider_problem, unread};
use problem::{Code, Problem};
use provider::{Payment as Shown, Provider};
use rating::{Cents, Currency};

impl PaymentService {
    /// Whose payment this is, by our own rows: the page it came from, or the charge we asked for.
    /// What only says that it is ours, and does not fit, is kept as nobody's.
    pub(super) async fn attribute(
        &self,
        provider: &dyn Provider,
        shown: &Shown,
    ) -> Result<Option<Payment>, Problem> {
        let found = match PaymentRows::of(&self.catalog)
            .top_up_by_payment(&shown.id)
            .await
            .map_err(unread)?
        {
            Some(top_up) => Some((top_up, true)),
            None => {
                self.top_up_behind(provider, &shown.id, shown.reference.as_ref())
                    .await?
            }
        };
        let Some((top_up, of_its_page)) = found else {
            return Ok(None);
        };
        let fits = of_its_page
            && top_up
                .payment
                .as_deref()
                .is_none_or(|payment| payment == shown.id);
        let is_own = fits && (shown.cents, shown.currency) == (top_up.cents, top_up.currency);
        if is_own && top_up.payment.is_none() {
            let bound = TopUp {
                payment: Some(shown.id.clone()),
                updated_at: self.now(),
                ..top_up.clone()
            };
            if !PaymentRows::of(&self.catalog)
                .put_top_up(&top_up, &bound)
                .await
                .map_err(unread)?
            {
                return Err(Problem::new(
                    Code::Unavailable,
                    "the top-up changed at the same time; try again",
                ));
            }
        }
        if !is_own {
            tracing::warn!(payment = shown.id, top_up = %top_up.id, "payment does not match its \
                top-up: its money is kept in suspense");
        }
        Ok(Some(self.new_payment(
            &shown.id,
            &top_up,
            shown.currency,
            is_own,
        )))
    }

    /// Nothing of it was posted yet.
    pub(crate) fn new_payment(
        &self,
        id: &str,
        top_up: &TopUp,
        currency: Currency,
        is_own: bool,
    ) -> Payment {
        let now = self.now();
        Payment {
            id: id.to_owned(),
            root: top_up.root,
            tenant: top_up.tenant,
            top_up: top_up.id,
            currency,
            status: String::new(),
            is_own,
            idempotency_epoch: 0,
            balance: Cents::ZERO,
            disputed: Cents::ZERO,
            suspense: Cents::ZERO,
            expense: Cents::ZERO,
            received: Cents::ZERO,
            refunded: Cents::ZERO,
            withdrawn: Cents::ZERO,
            open_disputes: 0,
            contests: 0,
            foreign: None,
            fees: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// With whether it came from the page that we know of, if we know of one.
    pub(crate) async fn top_up_behind(
        &self,
        provider: &dyn Provider,
        payment: &str,
        reference: Option<&String>,
    ) -> Result<Option<(TopUp, bool)>, Problem> {
        let session = provider
            .session_of(payment)
            .await
            .map_err(|error| provider_problem(&error))?;
        if let Some(session) = &session
            && let Some(top_up) = PaymentRows::of(&self.catalog)
                .top_up_by_session(&session.id)
                .await
                .map_err(unread)?
        {
            return Ok(Some((top_up, true)));
        }
        // The answer that named the page, or the charge, was lost: what we told the provider leads
        // to the row.
        let reference = session
            .as_ref()
            .and_then(|session| session.reference.as_ref())
            .or(reference);
        let Some(id) = reference.and_then(|reference| reference.parse().ok()) else {
            return Ok(None);
        };
        let Some(top_up) = PaymentRows::of(&self.catalog)
            .top_up(id)
            .await
            .map_err(unread)?
        else {
            return Ok(None);
        };
        let origin = if session.is_some() {
            Origin::Checkout
        } else {
            Origin::Auto
        };
        // Since the look above somebody else may have heard which page it is: this one.
        let is_free = top_up.session.is_none()
            || top_up.session.as_ref() == session.as_ref().map(|session| &session.id);
        let of_its_page = is_free && top_up.origin == origin;
        Ok(Some((top_up, of_its_page)))
    }
}
