-- Who collects grants the credit: what the platform holds and what a reseller keeps in its own book are different accounts.

-- How much credit a reseller may give to each buyer that the platform collects from; null: none. Its buyers' own caps are no
-- higher.
alter table agreements add column credit_cap_cents bigint check (credit_cap_cents >= 0);

-- Whose key wrote the terms; null: before this was kept.
alter table agreements add column author_id bigint;

-- Balances of buyers whose seller collects itself, from before it had a book of its own: yet to be moved there, each once.
create table reclassifications (
    root_id         bigint not null,
    tenant_id       bigint not null,
    currency        text collate "C" not null,
    primary key (root_id, tenant_id, currency),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
-- Who buys from the platform pays the platform either way.
insert into reclassifications (root_id, tenant_id, currency)
    select distinct root_id, buyer_id, currency from agreements where collect = 'reseller' and buyer_id <> root_id;
alter table reclassifications enable row level security;
create policy roots_seen on reclassifications for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
