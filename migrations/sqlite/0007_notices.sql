-- What is told to whom. A notice is recorded with what it tells of, in one transaction; deliveries are made of it later,
-- one for each endpoint and contact that wants it, and tried until they succeed or their time is up. `next_at` is when
-- a delivery is tried next; null: never. Who tries moves it first, so that of several processes one does.

-- Where a tenant's own programs hear of things. `kinds_json`: null is every kind.
create table webhook_endpoints (
    id            integer not null primary key,
    root_id       integer not null,
    tenant_id     integer not null references tenants (id),
    url           text    not null,
    secret        text    not null,
    -- After a change of the secret the former one signs as well until then.
    former_secret text,
    former_until  integer,
    kinds_json    text,
    -- Also what happens to tenants below.
    subtree       integer not null check (subtree in (0, 1)),
    active        integer not null check (active in (0, 1)),
    -- Why it is not active, if nobody switched it off.
    disabled_why  text,
    created_at    integer not null,
    check ((former_secret is null) = (former_until is null))
) strict;
create index webhook_endpoints_by_tenant on webhook_endpoints (tenant_id, id);

-- Whom to write to.
create table contacts (
    id         integer not null primary key,
    root_id    integer not null,
    tenant_id  integer not null references tenants (id),
    address    text    not null,
    locale     text    not null,
    kinds_json text,
    subtree    integer not null check (subtree in (0, 1)),
    created_at integer not null
) strict;
create index contacts_by_tenant on contacts (tenant_id, id);

-- `cause`: what it tells of; told again it is the same notice.
create table notices (
    id         integer not null primary key,
    root_id    integer not null,
    tenant_id  integer not null references tenants (id),
    kind       text    not null,
    cause      text not null,
    data_json  text    not null,
    created_at integer not null,
    -- When its deliveries were made.
    sent_at    integer
) strict;
create unique index notices_by_cause on notices (root_id, cause);
create index notices_unsent on notices (id) where sent_at is null;
create index notices_by_age on notices (created_at);

-- `root_id` and `tenant_id` are the target's; the notice may be about a tenant below.
create table deliveries (
    id           integer not null primary key,
    root_id      integer not null,
    tenant_id    integer not null references tenants (id),
    channel      text    not null check (channel in ('webhook', 'mail')),
    target_id    integer not null,
    notice_id    integer not null,
    kind         text    not null,
    payload_json text    not null,
    state        text    not null check (state in ('waiting', 'delivered', 'failed', 'logged')),
    attempts     integer not null,
    next_at      integer,
    last_status  integer,
    last_error   text,
    created_at   integer not null,
    tried_at     integer,
    done_at      integer,
    check ((state = 'waiting') = (next_at is not null))
) strict;
create index deliveries_due on deliveries (target_id, next_at) where next_at is not null;
create index deliveries_by_target on deliveries (target_id, id);
create index deliveries_by_age on deliveries (created_at);

-- Of one balance: at which it counts as low, and since when it was told to be low or used up (null: it is not, or was not
-- told). Without a threshold a row only says that the balance is used up.
create table balance_thresholds (
    root_id      integer not null,
    tenant_id    integer not null references tenants (id),
    currency     text not null,
    low_cents    integer,
    low_at       integer,
    exhausted_at integer,
    updated_at   integer not null,
    primary key (root_id, tenant_id, currency)
) strict, without rowid;
