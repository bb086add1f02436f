-- What is told to whom. A notice is recorded with what it tells of, in one transaction; deliveries are made of it later,
-- one for each endpoint and contact that wants it, and tried until they succeed or their time is up. `next_at` is when
-- a delivery is tried next; null: never. Who tries moves it first, so that of several processes one does.

-- Where a tenant's own programs hear of things. `kinds_json`: null is every kind.
create table webhook_endpoints (
    id            bigint not null,
    root_id       bigint not null,
    tenant_id     bigint not null,
    url           text   not null,
    secret        text   not null,
    -- After a change of the secret the former one signs as well until then.
    former_secret text,
    former_until  bigint,
    kinds_json    text,
    -- Also what happens to tenants below.
    subtree       bigint not null check (subtree in (0, 1)),
    active        bigint not null check (active in (0, 1)),
    -- Why it is not active, if nobody switched it off.
    disabled_why  text,
    created_at    bigint not null,
    check ((former_secret is null) = (former_until is null)),
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index webhook_endpoints_by_tenant on webhook_endpoints (tenant_id, id);
create index webhook_endpoints_by_id on webhook_endpoints (id);

-- Whom to write to.
create table contacts (
    id         bigint not null,
    root_id    bigint not null,
    tenant_id  bigint not null,
    address    text   not null,
    locale     text   not null,
    kinds_json text,
    subtree    bigint not null check (subtree in (0, 1)),
    created_at bigint not null,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index contacts_by_tenant on contacts (tenant_id, id);
create index contacts_by_id on contacts (id);

-- `cause`: what it tells of; told again it is the same notice.
create table notices (
    id         bigint not null,
    root_id    bigint not null,
    tenant_id  bigint not null,
    kind       text   not null,
    cause      text collate "C" not null,
    data_json  text   not null,
    created_at bigint not null,
    -- When its deliveries were made.
    sent_at    bigint,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create unique index notices_by_cause on notices (root_id, cause);
create index notices_unsent on notices (id) where sent_at is null;
create index notices_by_age on notices (created_at);

-- `root_id` and `tenant_id` are the target's; the notice may be about a tenant below.
create table deliveries (
    id           bigint not null,
    root_id      bigint not null,
    tenant_id    bigint not null,
    channel      text   not null check (channel in ('webhook', 'mail')),
    target_id    bigint not null,
    notice_id    bigint not null,
    kind         text   not null,
    payload_json text   not null,
    state        text   not null check (state in ('waiting', 'delivered', 'failed', 'logged')),
    attempts     bigint not null,
    next_at      bigint,
    last_status  bigint,
    last_error   text,
    created_at   bigint not null,
    tried_at     bigint,
    done_at      bigint,
    check ((state = 'waiting') = (next_at is not null)),
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index deliveries_due on deliveries (target_id, next_at) where next_at is not null;
create index deliveries_by_target on deliveries (target_id, id);
create index deliveries_by_id on deliveries (id);
create index deliveries_by_age on deliveries (created_at);

-- Of one balance: at which it counts as low, and since when it was told to be low or used up (null: it is not, or was not
-- told). Without a threshold a row only says that the balance is used up.
create table balance_thresholds (
    root_id      bigint not null,
    tenant_id    bigint not null,
    currency     text collate "C" not null,
    low_cents    bigint,
    low_at       bigint,
    exhausted_at bigint,
    updated_at   bigint not null,
    primary key (root_id, tenant_id, currency),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);

alter table webhook_endpoints enable row level security;
create policy roots_seen on webhook_endpoints for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

alter table contacts enable row level security;
create policy roots_seen on contacts for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

alter table notices enable row level security;
create policy roots_seen on notices for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

alter table deliveries enable row level security;
create policy roots_seen on deliveries for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

alter table balance_thresholds enable row level security;
create policy roots_seen on balance_thresholds for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
