//! Money takes its turn like usage: moved by hand (top-ups and adjustments, once per key), and by
//! the steps of payments and payouts.

use crate::batch_executor::{BatchExecutor, refused, relative};
use crate::named::Named;
use crate::requests::{MoneyAnswer, MoneyKind, MoveMoney, PaymentPosted, PostPayment};
use journal::{EntryPayload, JournalEntry, Kind, Seq};
use ledger::{AccountKey, AccountKind, Refusal};
use prepare::digest::Digest;
use problem::{Code, Problem};
use rating::{Currency, Instant, TenantId};

impl BatchExecutor {
    pub fn money(
        &mut self,
        named: Named,
        command: &MoveMoney,
        received_at: Instant,
    ) -> Result<MoneyAnswer, Problem> {
        let content = money_content(command);
        if let Some(earlier) = self.earlier(named.keyed()) {
            let record = self.earlier_record(&earlier);
            if record.content != content {
                return Err(Problem::new(
                    Code::IdempotencyConflict,
                    "this key was used for another command",
                ));
            }
            return self.money_answer(command, record.seq, true);
        }
        let posting = match command.kind {
            MoneyKind::TopUp => ledger::top_up(command.root, command.account, command.cents),
            MoneyKind::Adjustment => ledger::adjustment(
                command.root,
                command.account,
                command.cents,
                &command.reason,
            ),
        };
        let posting = posting.map_err(|refusal| match refusal {
            Refusal::AmountTooLarge => Problem::field(refusal.code(), "cents", refusal.to_string()),
            _ => refused(refusal),
        })?;
        self.books.post(&[posting]).map_err(refused)?;
        let kind = match command.kind {
            MoneyKind::TopUp => Kind::TopUp,
            MoneyKind::Adjustment => Kind::Adjustment,
        };
        let body = EntryPayload {
            currency: Some(command.account.currency),
            postings: vec![posting],
            reason: command.reason.clone(),
            ..EntryPayload::default()
        };
        let (at, tenant, keyed) = (received_at, command.account.tenant, named.key());
        let identity = named.identity;
        let digest = [0; 16];
        let record = JournalEntry {
            seq: Seq(0),
            kind,
            tenant,
            identity,
            at,
            received_at,
            content,
            body,
            personal: None,
            personal_digest: digest,
        };
        let index = self.push(record, Some(keyed));
        self.money_answer(command, relative(index), false)
    }

    fn money_answer(
        &self,
        command: &MoveMoney,
        seq: Seq,
        duplicate: bool,
    ) -> Result<MoneyAnswer, Problem> {
        let balance = self.books.balance(command.account).map_err(refused)?.posted;
        Ok(MoneyAnswer {
            seq,
            account: command.account,
            cents: command.cents,
            balance,
            duplicate,
        })
    }
}

impl BatchExecutor {
    /// The first step under a name counts; who sends it again hears what that was.
    pub fn payment(
        &mut self,
        named: Named,
        command: PostPayment,
        received_at: Instant,
    ) -> Result<PaymentPosted, Problem> {
        if let Some(earlier) = self.earlier(named.keyed()) {
            return Ok(payment_posted(self.earlier_record(&earlier), true));
        }
        let PostPayment {
            tenant,
            currency,
            kind,
            postings,
            limits,
            reason,
            ..
        } = command;
        if let Some(other) = postings
            .iter()
            .flat_map(|posting| [posting.from, posting.to])
            .find(|account| account.currency != currency)
        {
            return Err(refused(Refusal::BadAccount { account: other }));
        }
        self.books.pay(&postings, &limits).map_err(refused)?;
        let keyed = named.key();
        let body = EntryPayload {
            currency: Some(currency),
            postings,
            reason,
            ..EntryPayload::default()
        };
        let record = JournalEntry {
            seq: Seq(0),
            kind,
            tenant,
            identity: named.identity,
            at: received_at,
            received_at,
            content: [0; 16],
            body,
            personal: None,
            personal_digest: [0; 16],
        };
        let index = self.push(record, Some(keyed));
        Ok(PaymentPosted {
            seq: relative(index),
            ..payment_posted(self.record_at(index), false)
        })
    }
}

impl BatchExecutor {
    /// Whether something moved. Once under its name: what comes to the balance later is the
    /// platform's.
    pub fn reclassify(
        &mut self,
        named: Named,
        tenant: TenantId,
        currency: Currency,
        received_at: Instant,
    ) -> Result<bool, Problem> {
        if self.earlier(named.keyed()).is_some() {
            return Ok(false);
        }
        let balance = self
            .books
            .balance(AccountKey::balance(tenant, currency))
            .map_err(refused)?
            .posted;
        let Some(posting) = ledger::reclassification(tenant, currency, balance).map_err(refused)?
        else {
            return Ok(false);
        };
        self.books.reclassify(posting).map_err(refused)?;
        let reason = "paid to the reseller, and kept in its book from now on".to_owned();
        let body = EntryPayload {
            currency: Some(currency),
            postings: vec![posting],
            reason,
            ..EntryPayload::default()
        };
        let key = named.key();
        let record = JournalEntry {
            seq: Seq(0),
            kind: Kind::Reclassification,
            tenant,
            identity: named.identity,
            at: received_at,
            received_at,
            content: [0; 16],
            body,
            personal: None,
            personal_digest: [0; 16],
        };
        self.push(record, Some(key));
        Ok(true)
    }
}

fn payment_posted(record: &JournalEntry, duplicate: bool) -> PaymentPosted {
    let JournalEntry { seq, at, body, .. } = record;
    PaymentPosted {
        seq: *seq,
        postings: body.postings.clone(),
        reason: body.reason.clone(),
        at: *at,
        duplicate,
    }
}

fn money_content(command: &MoveMoney) -> [u8; 16] {
    let account = command.account;
    let mut digest = Digest::keyed(&[0; 32]);
    digest
        .number(account.tenant.0.into())
        .number(account.currency.numeric().into())
        .number(command.cents.0.into())
        .number(i128::from(command.kind == MoneyKind::TopUp))
        .text(&command.reason);
    // Commands from before there was another account have nothing here.
    if account.kind != AccountKind::Balance {
        digest.text(account.kind.name());
    }
    digest.finish()
}
