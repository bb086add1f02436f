-- Tenants are looked for by what they are called; names in keys sort by their bytes.
alter table tenants alter column name type text collate "C";
create index tenants_by_name on tenants (name, path);

-- What the audit log of each root, and its rows of the tables that `verify` watches, come to.
create table audit_heads (
    root_id       bigint not null primary key,
    entries       bigint not null,
    hash          bytea  not null,  -- of the chain behind its last entry
    agreements    bytea  not null,  -- sums of the digests of rows
    card_versions bytea  not null,
    api_keys      bytea  not null
);
alter table audit_heads enable row level security;
create policy roots_seen on audit_heads for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
