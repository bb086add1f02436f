-- A scope for monitoring; which key made a key, and when it was last used. A check cannot be changed: the table is made anew.
create table api_keys_new (
    id           integer not null primary key,
    root_id      integer not null,
    tenant_id    integer not null references tenants (id),
    scope        text    not null check (scope in ('platform_admin', 'tenant_admin', 'tenant_read', 'usage_write', 'metrics_read')),
    name         text    not null,
    hash         blob    not null check (length(hash) = 32),
    created_at   integer not null,
    expires_at   integer,
    revoked_at   integer,
    made_by      integer,
    last_used_at integer
) strict;
insert into api_keys_new (id, root_id, tenant_id, scope, name, hash, created_at, expires_at, revoked_at)
    select id, root_id, tenant_id, scope, name, hash, created_at, expires_at, revoked_at from api_keys;
drop table api_keys;
alter table api_keys_new rename to api_keys;
create unique index api_keys_by_hash on api_keys (hash);
create index api_keys_by_tenant on api_keys (tenant_id, id);
create index api_keys_by_maker on api_keys (made_by);
