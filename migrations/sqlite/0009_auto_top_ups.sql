-- Balances that are topped up by themselves when they fall to a threshold.

-- `method` is kept by the provider, for `customer`; null: none was kept yet; `kept_id` is the top-up it was kept with, the
-- latest there was. `open_id` is the one top-up that may be under
-- way. `month` and `day` (numbers, in UTC) are those that `month_cents` and `day_failures` count. Before `not_before` nothing
-- is tried; the row is looked at again at `next_at`.
create table auto_top_ups (
    root_id         integer not null,
    tenant_id       integer not null references tenants (id),
    currency        text not null,
    state           text not null check (state in ('on', 'paused', 'off')),
    threshold_cents integer not null,
    amount_cents    integer not null check (amount_cents > 0),
    month_max_cents integer not null check (month_max_cents > 0),
    customer        text,
    method          text,
    pause           text,
    kept_id         integer,
    open_id         integer,
    month           integer not null,
    month_cents     integer not null,
    day             integer not null,
    day_failures    integer not null,
    failures        integer not null,
    not_before      integer not null,
    next_at         integer,
    created_at      integer not null,
    updated_at      integer not null,
    primary key (root_id, tenant_id, currency)
) strict, without rowid;
create index auto_top_ups_by_tenant on auto_top_ups (tenant_id, currency);
create index auto_top_ups_by_method on auto_top_ups (method) where method is not null;
create index auto_top_ups_by_customer on auto_top_ups (customer) where customer is not null;
create index auto_top_ups_due on auto_top_ups (next_at) where next_at is not null;
