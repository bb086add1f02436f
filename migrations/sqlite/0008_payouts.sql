-- Commissions: what reseller balances did by month, and what is paid out of them.

-- One row per reseller, currency and month with records, worked out from the journal in its order: records after
-- `after_seq` up to `through_seq` belong to it. Nothing is added once it is closed; what comes later is of a later month.
-- Months count from January of the year 0. `sums_json`: cents and entries by kind.
create table commission_months (
    root_id       integer not null,
    tenant_id     integer not null references tenants (id),
    currency      text    not null,
    month         integer not null,
    after_seq     integer not null,
    through_seq   integer not null,
    opening_cents integer not null,
    accrued_cents integer not null,
    sums_json     text    not null,
    closed_at     integer,
    primary key (tenant_id, currency, month)
) strict, without rowid;

-- How a reseller is paid. The platform's own row is the account that bank transfers are paid from.
create table payout_settings (
    root_id           integer not null,
    tenant_id         integer not null primary key references tenants (id),
    currency          text    not null,
    method            text    not null check (method in ('stripe', 'bank')),
    hold_back_days    integer not null check (hold_back_days >= 0),
    minimum_cents     integer not null check (minimum_cents >= 1),
    holder            text,
    iban              text,
    bic               text,
    -- At the provider; a new account takes a new generation of the key.
    country           text,
    payee             text,
    payee_generation  integer not null,
    transfers_enabled integer not null check (transfers_enabled in (0, 1)),
    payouts_enabled   integer not null check (payouts_enabled in (0, 1)),
    requirements_json text    not null,
    payee_read_at     integer,
    version           integer not null,
    updated_at        integer not null
) strict;
create index payout_settings_by_payee on payout_settings (payee) where payee is not null;

-- One per reseller, currency and period. `version` guards every change; `next_at`: when the worker has something to do.
create table payouts (
    id          integer not null primary key,
    root_id     integer not null,
    tenant_id   integer not null references tenants (id),
    currency    text    not null,
    period      integer not null,
    state       text    not null check (state in ('due', 'paying', 'paid', 'failed', 'reversing', 'reversed', 'canceled')),
    cents       integer not null check (cents > 0),
    method      text    not null check (method in ('stripe', 'bank')),
    generation  integer not null,
    attempts    integer not null,
    next_at     integer,
    -- Where it goes, as it was when it was begun.
    payee       text,
    holder      text,
    iban        text,
    bic         text,
    file_id     integer,
    transfer    text,
    reference   text,
    error       text,
    created_at  integer not null,
    begun_at    integer,
    paid_at     integer,
    version     integer not null
) strict;
create unique index payouts_by_period on payouts (tenant_id, currency, period);
create index payouts_by_next on payouts (next_at) where next_at is not null;
create index payouts_by_file on payouts (file_id, id) where file_id is not null;
create index payouts_by_state on payouts (state, method, id);

-- Bank transfers that go out together. The rows belong to the platform.
create table payout_files (
    id           integer not null primary key,
    root_id      integer not null,
    currency     text    not null,
    execution_on text    not null,
    holder       text    not null,
    iban         text    not null,
    bic          text,
    payouts      integer not null,
    cents        integer not null,
    created_at   integer not null,
    xml          text    not null
) strict;
