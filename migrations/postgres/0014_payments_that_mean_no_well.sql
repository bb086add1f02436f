-- Automatic top-ups charge for usage only: records of the balance up to `seen_seq` are counted, and `other_cents` of its
-- debits came from anything else (refunds, disputes, adjustments, payouts) and were not made up for since. Null: counting
-- begins with the next look.
alter table auto_top_ups add column seen_seq bigint;
alter table auto_top_ups add column other_cents bigint not null default 0;
alter table auto_top_ups alter column other_cents drop default;

-- `contests`: disputes of a payment and reports of fraud that were acted on. `foreign_amount` of `foreign_currency`, as the
-- provider counts, is money that the books cannot count: nothing of it is posted. `fee_cents` of `fee_currency` are fees in
-- the currency that a payment was converted to; `fee_generation` numbers their steps.
alter table payments add column contests bigint not null default 0;
alter table payments add column foreign_currency text collate "C";
alter table payments add column foreign_amount bigint not null default 0;
alter table payments add column fee_currency text collate "C";
alter table payments add column fee_cents bigint not null default 0;
alter table payments add column fee_generation bigint not null default 0;
alter table payments
    alter column contests drop default,
    alter column foreign_amount drop default,
    alter column fee_cents drop default,
    alter column fee_generation drop default;
create index payments_foreign on payments (foreign_amount) where foreign_amount <> 0;

alter table payouts alter column transfer type text collate "C";
create index payouts_by_transfer on payouts (transfer) where transfer is not null;
