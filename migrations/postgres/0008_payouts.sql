-- Commissions: what reseller balances did by month, and what is paid out of them.

-- One row per reseller, currency and month with records, worked out from the journal in its order: records after
-- `after_seq` up to `through_seq` belong to it. Nothing is added once it is closed; what comes later is of a later month.
-- Months count from January of the year 0. `sums_json`: cents and entries by kind.
create table commission_months (
    root_id       bigint not null,
    tenant_id     bigint not null,
    currency      text collate "C" not null,
    month         bigint not null,
    after_seq     bigint not null,
    through_seq   bigint not null,
    opening_cents bigint not null,
    accrued_cents bigint not null,
    sums_json     text   not null,
    closed_at     bigint,
    primary key (root_id, tenant_id, currency, month),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);

-- How a reseller is paid. The platform's own row is the account that bank transfers are paid from.
create table payout_settings (
    root_id           bigint not null,
    tenant_id         bigint not null,
    currency          text   not null,
    method            text   not null check (method in ('stripe', 'bank')),
    hold_back_days    bigint not null check (hold_back_days >= 0),
    minimum_cents     bigint not null check (minimum_cents >= 1),
    holder            text,
    iban              text,
    bic               text,
    -- At the provider; a new account takes a new generation of the key.
    country           text,
    payee             text collate "C",
    payee_generation  bigint not null,
    transfers_enabled bigint not null check (transfers_enabled in (0, 1)),
    payouts_enabled   bigint not null check (payouts_enabled in (0, 1)),
    requirements_json text   not null,
    payee_read_at     bigint,
    version           bigint not null,
    updated_at        bigint not null,
    primary key (root_id, tenant_id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index payout_settings_by_tenant on payout_settings (tenant_id);
create index payout_settings_by_payee on payout_settings (payee) where payee is not null;

-- One per reseller, currency and period. `version` guards every change; `next_at`: when the worker has something to do.
create table payouts (
    id          bigint not null,
    root_id     bigint not null,
    tenant_id   bigint not null,
    currency    text collate "C" not null,
    period      bigint not null,
    state       text collate "C" not null check (state in ('due', 'paying', 'paid', 'failed', 'reversing', 'reversed', 'canceled')),
    cents       bigint not null check (cents > 0),
    method      text collate "C" not null check (method in ('stripe', 'bank')),
    generation  bigint not null,
    attempts    bigint not null,
    next_at     bigint,
    -- Where it goes, as it was when it was begun.
    payee       text,
    holder      text,
    iban        text,
    bic         text,
    file_id     bigint,
    transfer    text,
    reference   text,
    error       text,
    created_at  bigint not null,
    begun_at    bigint,
    paid_at     bigint,
    version     bigint not null,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create unique index payouts_by_root_and_period on payouts (root_id, tenant_id, currency, period);
create index payouts_by_id on payouts (id);
create index payouts_by_tenant on payouts (tenant_id, id);
create index payouts_by_next on payouts (next_at) where next_at is not null;
create index payouts_by_file on payouts (file_id, id) where file_id is not null;
create index payouts_by_state on payouts (state, method, id);

-- Bank transfers that go out together. The rows belong to the platform.
create table payout_files (
    id           bigint not null,
    root_id      bigint not null,
    currency     text   not null,
    execution_on text   not null,
    holder       text   not null,
    iban         text   not null,
    bic          text,
    payouts      bigint not null,
    cents        bigint not null,
    created_at   bigint not null,
    xml          text   not null,
    primary key (root_id, id)
);
create index payout_files_by_id on payout_files (id);

do $$
declare
    t text;
begin
    foreach t in array array['commission_months', 'payout_settings', 'payouts', 'payout_files']
    loop
        execute format('alter table %I enable row level security', t);
        execute format(
            'create policy roots_seen on %I for select using (root_id = any ((select string_to_array(nullif(current_setting(%L, true), %L), %L))::bigint[]))',
            t, 'centwise.roots', '', ','
        );
    end loop;
end $$;
