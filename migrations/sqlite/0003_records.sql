-- The records: who sells to whom, under which terms, at which prices; who may ask; who did what.
-- Ids are made by the application and ordered by time, so the rowid is the order of arrival.
-- `root_id` is the stored placement key; the platform's own rows carry the platform's id.

-- `path`: ids from the platform down to the tenant itself, eight big-endian bytes each, so that a
-- subtree is one range and needs no recursion.
create table tenants (
    id               integer not null primary key,
    root_id          integer not null,
    parent_id        integer references tenants (id),
    path             blob    not null,
    external_id      text    not null,
    kind             text    not null check (kind in ('platform', 'reseller', 'customer')),
    name             text    not null,
    country          text,
    late_window_days integer not null check (late_window_days >= 0),
    -- Keys the digests of what names a person; null once erased.
    personal_key     blob,
    created_at       integer not null,
    closed_at        integer,
    check ((parent_id is null) = (kind = 'platform'))
) strict;
create unique index tenants_by_path on tenants (path);
create unique index tenants_by_external_id on tenants (external_id, root_id);
create index tenants_by_parent on tenants (parent_id, id);
-- The platform and the roots share one space of names.
create unique index tenants_by_root_name on tenants (external_id) where id = root_id;
create unique index tenants_one_platform on tenants (kind) where kind = 'platform';

create table rate_cards (
    id         integer not null primary key,
    root_id    integer not null,
    owner_id   integer not null references tenants (id),
    name       text    not null,
    currency   text    not null,
    created_at integer not null
) strict;
create unique index rate_cards_by_name on rate_cards (owner_id, name);

-- A published version never changes; `doc` is its JSON.
create table card_versions (
    id             integer not null primary key,
    root_id        integer not null,
    card_id        integer not null references rate_cards (id),
    number         integer not null check (number >= 1),
    status         text    not null check (status in ('draft', 'published')),
    effective_from integer,
    created_at     integer not null,
    created_by     integer,
    published_at   integer,
    published_by   integer,
    doc            blob    not null,
    check ((status = 'published') = (effective_from is not null and published_at is not null))
) strict;
create unique index card_versions_by_number on card_versions (card_id, number);
create unique index card_versions_by_effective_from on card_versions (card_id, effective_from);

-- The link seller -> buyer is named by its buyer; periods [from_at, until_at) of a buyer never overlap.
create table agreements (
    id                 integer not null primary key,
    root_id            integer not null,
    buyer_id           integer not null references tenants (id),
    seller_id          integer not null references tenants (id),
    currency           text    not null,
    pricing            text    not null check (pricing in ('wholesale', 'commission')),
    rate_card_id       integer references rate_cards (id),
    commission_bp      integer check (commission_bp between 0 and 10000),
    collect            text    not null check (collect in ('platform', 'reseller')),
    credit_limit_cents integer check (credit_limit_cents >= 0),
    on_exhausted       text    not null check (on_exhausted in ('post', 'refuse')),
    from_at            integer not null,
    until_at           integer,
    check (until_at is null or from_at < until_at),
    check ((pricing = 'wholesale') = (rate_card_id is not null)),
    check ((pricing = 'commission') = (commission_bp is not null))
) strict;
create unique index agreements_by_buyer on agreements (buyer_id, from_at);

create table meters (
    id          integer not null primary key,
    root_id     integer not null,
    name        text    not null,
    unit        text    not null,
    aggregation text    not null check (aggregation in ('count', 'sum', 'max', 'unique', 'latest')),
    unique_by   text,
    created_at  integer not null,
    check ((aggregation = 'unique') = (unique_by is not null))
) strict;
create unique index meters_by_name on meters (root_id, name);

create table api_keys (
    id         integer not null primary key,
    root_id    integer not null,
    tenant_id  integer not null references tenants (id),
    scope      text    not null check (scope in ('platform_admin', 'tenant_admin', 'tenant_read', 'usage_write')),
    name       text    not null,
    hash       blob    not null check (length(hash) = 32),
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict;
create unique index api_keys_by_hash on api_keys (hash);
create index api_keys_by_tenant on api_keys (tenant_id, id);

-- Who changed what, when and why, written with the change itself. `tenant_id`: whose record it is.
create table audit_log (
    id              integer not null primary key,
    root_id         integer not null,
    tenant_id       integer not null references tenants (id),
    at              integer not null,
    actor_key_id    integer,
    actor_tenant_id integer not null,
    resource        text    not null,
    resource_id     text    not null,
    action          text    not null,
    before_json     text,
    after_json      text,
    reason          text,
    request_id      text    not null
) strict;
create index audit_log_by_root on audit_log (root_id, id);

-- First answers to requests with an Idempotency-Key; `status` is null while the first is under way.
create table idempotency (
    root_id   integer not null,
    caller_id integer not null,
    key       text    not null,
    digest    blob    not null check (length(digest) = 32),
    begun_at  integer not null,
    status    integer,
    body      blob,
    primary key (caller_id, key)
) strict, without rowid;
create index idempotency_by_age on idempotency (begun_at);

-- Column maps saved for imports.
create table column_maps (
    root_id    integer not null,
    owner_id   integer not null references tenants (id),
    name       text    not null,
    map_json   text    not null,
    updated_at integer not null,
    primary key (owner_id, name)
) strict, without rowid;

create table settings (
    root_id    integer not null,
    name       text    not null primary key,
    value_json text    not null,
    updated_at integer not null
) strict;
