-- Balances that are topped up by themselves when they fall to a threshold.

-- `method` is kept by the provider, for `customer`; null: none was kept yet; `kept_id` is the top-up it was kept with, the
-- latest there was. `open_id` is the one top-up that may be under
-- way. `month` and `day` (numbers, in UTC) are those that `month_cents` and `day_failures` count. Before `not_before` nothing
-- is tried; the row is looked at again at `next_at`.
create table auto_top_ups (
    root_id         bigint not null,
    tenant_id       bigint not null,
    currency        text collate "C" not null,
    state           text not null check (state in ('on', 'paused', 'off')),
    threshold_cents bigint not null,
    amount_cents    bigint not null check (amount_cents > 0),
    month_max_cents bigint not null check (month_max_cents > 0),
    customer        text collate "C",
    method          text collate "C",
    pause           text,
    kept_id         bigint,
    open_id         bigint,
    month           bigint not null,
    month_cents     bigint not null,
    day             bigint not null,
    day_failures    bigint not null,
    failures        bigint not null,
    not_before      bigint not null,
    next_at         bigint,
    created_at      bigint not null,
    updated_at      bigint not null,
    primary key (root_id, tenant_id, currency),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index auto_top_ups_by_tenant on auto_top_ups (tenant_id, currency);
create index auto_top_ups_by_method on auto_top_ups (method) where method is not null;
create index auto_top_ups_by_customer on auto_top_ups (customer) where customer is not null;
create index auto_top_ups_due on auto_top_ups (next_at) where next_at is not null;
alter table auto_top_ups enable row level security;
create policy roots_seen on auto_top_ups for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
