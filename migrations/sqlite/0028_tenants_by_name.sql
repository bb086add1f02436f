-- Tenants are looked for by what they are called.
create index tenants_by_name on tenants (name, path);
