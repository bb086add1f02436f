-- What resellers earned from each customer: commission is paid only from money that came in from it.

-- How far it is added up from the journal, in its order and beside `commission_months`; what came before either table is
-- added once, from the beginning. `is_complete` = 0: some of that was gone already. `own_cents`: what the reseller bought for
-- customers that it collects from itself, or for its own use; it is in its commission, and comes from no customer.
create table commission_positions (
    root_id     integer not null,
    tenant_id   integer not null references tenants (id),
    currency    text    not null,
    through_seq integer not null,
    own_cents   integer not null,
    is_complete integer not null check (is_complete in (0, 1)),
    primary key (root_id, tenant_id, currency)
) strict, without rowid;

-- Charges received less charges paid, of every record of one customer.
create table commission_customers (
    root_id     integer not null,
    tenant_id   integer not null references tenants (id),
    currency    text    not null,
    customer_id integer not null references tenants (id),
    cents       integer not null,
    primary key (root_id, tenant_id, currency, customer_id)
) strict, without rowid;
