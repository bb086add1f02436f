-- Tenants are looked for by what they are called; names in keys sort by their bytes.
alter table tenants alter column name type text collate "C";
create index tenants_by_name on tenants (name, path);
