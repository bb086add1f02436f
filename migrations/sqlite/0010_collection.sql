-- Who collects grants the credit: what the platform holds and what a reseller keeps in its own book are different accounts.

-- How much credit a reseller may give to each buyer that the platform collects from; null: none. Its buyers' own caps are no
-- higher.
alter table agreements add column credit_cap_cents integer check (credit_cap_cents >= 0);

-- Whose key wrote the terms; null: before this was kept.
alter table agreements add column author_id integer;

-- Balances of buyers whose seller collects itself, from before it had a book of its own: yet to be moved there, each once.
create table reclassifications (
    root_id         integer not null,
    tenant_id       integer not null references tenants (id),
    currency        text not null,
    primary key (root_id, tenant_id, currency)
) strict, without rowid;
-- Who buys from the platform pays the platform either way.
insert into reclassifications (root_id, tenant_id, currency)
    select distinct root_id, buyer_id, currency from agreements where collect = 'reseller' and buyer_id <> root_id;
