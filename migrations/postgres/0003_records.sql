-- The records: who sells to whom, under which terms, at which prices; who may ask; who did what.
-- Tables and columns are those of SQLite; keys differ: `root_id`, the stored placement key, comes first in
-- every primary key, unique and foreign key, so that rows can be placed by root. A link to a record of another
-- root (a seller that is the platform, a card of the platform) has no foreign key. Look-ups by id alone have
-- an index of their own that promises nothing: ids are made by the application and do not repeat.
-- Names sort by their bytes, as on SQLite, whatever the database's own collation is.

-- A root's row is the lock of its records: whoever writes one moves it first. `version` is moved by changes of what
-- processes keep in memory; they compare the sum of all versions with what they last saw. `entries` is moved by who
-- only writes to the audit log.
create table versions (
    root_id bigint not null primary key,
    version bigint not null,
    entries bigint not null
);

-- Names of the platform and the roots: they share one space. A reference table.
create table root_names (
    external_id text collate "C" not null primary key,
    root_id     bigint not null
);

-- `path`: ids from the platform down to the tenant itself, eight big-endian bytes each, so that a
-- subtree is one range and needs no recursion.
create table tenants (
    id               bigint not null,
    root_id          bigint not null,
    parent_id        bigint,
    path             bytea  not null,
    external_id      text collate "C" not null,
    kind             text   not null check (kind in ('platform', 'reseller', 'customer')),
    name             text   not null,
    country          text,
    late_window_days bigint not null check (late_window_days >= 0),
    -- Keys the digests of what names a person; null once erased.
    personal_key     bytea,
    created_at       bigint not null,
    closed_at        bigint,
    primary key (root_id, id),
    check ((parent_id is null) = (kind = 'platform'))
);
create unique index tenants_by_root_and_external_id on tenants (root_id, external_id);
create index tenants_by_id on tenants (id);
create index tenants_by_path on tenants (path);
create index tenants_by_external_id on tenants (external_id);
create index tenants_by_parent on tenants (parent_id, id);

create table rate_cards (
    id         bigint not null,
    root_id    bigint not null,
    owner_id   bigint not null,
    name       text collate "C" not null,
    currency   text   not null,
    created_at bigint not null,
    primary key (root_id, id),
    foreign key (root_id, owner_id) references tenants (root_id, id)
);
create unique index rate_cards_by_root_and_name on rate_cards (root_id, owner_id, name);
create index rate_cards_by_id on rate_cards (id);
create index rate_cards_by_name on rate_cards (owner_id, name);

-- A published version never changes; `doc` is its JSON.
create table card_versions (
    id             bigint not null,
    root_id        bigint not null,
    card_id        bigint not null,
    number         bigint not null check (number >= 1),
    status         text   not null check (status in ('draft', 'published')),
    effective_from bigint,
    created_at     bigint not null,
    created_by     bigint,
    published_at   bigint,
    published_by   bigint,
    doc            bytea  not null,
    primary key (root_id, id),
    foreign key (root_id, card_id) references rate_cards (root_id, id),
    check ((status = 'published') = (effective_from is not null and published_at is not null))
);
create unique index card_versions_by_root_and_number on card_versions (root_id, card_id, number);
create unique index card_versions_by_root_and_effective_from on card_versions (root_id, card_id, effective_from);
create index card_versions_by_id on card_versions (id);
create index card_versions_by_number on card_versions (card_id, number);
create index card_versions_by_effective_from on card_versions (card_id, effective_from);

-- The link seller -> buyer is named by its buyer; periods [from_at, until_at) of a buyer never overlap.
create table agreements (
    id                 bigint not null,
    root_id            bigint not null,
    buyer_id           bigint not null,
    seller_id          bigint not null,
    currency           text   not null,
    pricing            text   not null check (pricing in ('wholesale', 'commission')),
    rate_card_id       bigint,
    commission_bp      bigint check (commission_bp between 0 and 10000),
    collect            text   not null check (collect in ('platform', 'reseller')),
    credit_limit_cents bigint check (credit_limit_cents >= 0),
    on_exhausted       text   not null check (on_exhausted in ('post', 'refuse')),
    from_at            bigint not null,
    until_at           bigint,
    primary key (root_id, id),
    foreign key (root_id, buyer_id) references tenants (root_id, id),
    check (until_at is null or from_at < until_at),
    check ((pricing = 'wholesale') = (rate_card_id is not null)),
    check ((pricing = 'commission') = (commission_bp is not null))
);
create unique index agreements_by_root_and_buyer on agreements (root_id, buyer_id, from_at);
create index agreements_by_id on agreements (id);
create index agreements_by_buyer on agreements (buyer_id, from_at);

create table meters (
    id          bigint not null,
    root_id     bigint not null,
    name        text collate "C" not null,
    unit        text   not null,
    aggregation text   not null check (aggregation in ('count', 'sum', 'max', 'unique', 'latest')),
    unique_by   text,
    created_at  bigint not null,
    primary key (root_id, id),
    check ((aggregation = 'unique') = (unique_by is not null))
);
create unique index meters_by_name on meters (root_id, name);

create table api_keys (
    id         bigint not null,
    root_id    bigint not null,
    tenant_id  bigint not null,
    scope      text   not null check (scope in ('platform_admin', 'tenant_admin', 'tenant_read', 'usage_write')),
    name       text   not null,
    hash       bytea  not null check (length(hash) = 32),
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index api_keys_by_id on api_keys (id);
create index api_keys_by_hash on api_keys (hash);
create index api_keys_by_tenant on api_keys (tenant_id, id);

-- No secret is used twice, whatever the root. A reference table.
create table key_hashes (
    hash    bytea  not null primary key,
    root_id bigint not null
);

-- Who changed what, when and why, written with the change itself. `tenant_id`: whose record it is.
create table audit_log (
    id              bigint not null,
    root_id         bigint not null,
    tenant_id       bigint not null,
    at              bigint not null,
    actor_key_id    bigint,
    actor_tenant_id bigint not null,
    resource        text   not null,
    resource_id     text   not null,
    action          text   not null,
    before_json     text,
    after_json      text,
    reason          text,
    request_id      text   not null,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index audit_log_by_id on audit_log (id);

-- First answers to requests with an Idempotency-Key; `status` is null while the first is under way.
create table idempotency (
    root_id   bigint not null,
    caller_id bigint not null,
    key       text collate "C" not null,
    digest    bytea  not null check (length(digest) = 32),
    begun_at  bigint not null,
    status    bigint,
    body      bytea,
    primary key (root_id, caller_id, key)
);
create index idempotency_by_age on idempotency (begun_at);

-- Column maps saved for imports.
create table column_maps (
    root_id    bigint not null,
    owner_id   bigint not null,
    name       text collate "C" not null,
    map_json   text   not null,
    updated_at bigint not null,
    primary key (root_id, owner_id, name),
    foreign key (root_id, owner_id) references tenants (root_id, id)
);
create index column_maps_by_owner on column_maps (owner_id, name);

create table settings (
    root_id    bigint not null,
    name       text collate "C" not null,
    value_json text   not null,
    updated_at bigint not null,
    primary key (root_id, name)
);
