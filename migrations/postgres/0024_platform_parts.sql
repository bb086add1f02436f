-- What the platform was paid for each customer is added up beside what resellers earned: its rows are in the customers' root,
-- where the platform itself is not.
alter table commission_positions drop constraint commission_positions_root_id_tenant_id_fkey;
alter table commission_customers drop constraint commission_customers_root_id_tenant_id_fkey;

-- What a seller lost in single steps while those below it gained, and what it gained in others. Of what was added up before,
-- nothing is known.
alter table commission_customers add column passed_cents bigint not null default 0;
alter table commission_customers add column gained_cents bigint not null default 0;
alter table commission_customers alter column passed_cents drop default;
alter table commission_customers alter column gained_cents drop default;
