-- Tenants are looked for by what they are called.
create index tenants_by_name on tenants (name, path);

-- What the audit log of each root, and its rows of the tables that `verify` watches, come to.
create table audit_heads (
    root_id       integer not null primary key,
    entries       integer not null,
    hash          blob    not null,  -- of the chain behind its last entry
    agreements    blob    not null,  -- sums of the digests of rows
    card_versions blob    not null,
    api_keys      blob    not null
) strict;
