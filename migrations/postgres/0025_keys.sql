-- A scope for monitoring; which key made a key, and when it was last used.
alter table api_keys drop constraint api_keys_scope_check;
alter table api_keys add constraint api_keys_scope_check
    check (scope in ('platform_admin', 'tenant_admin', 'tenant_read', 'usage_write', 'metrics_read'));
alter table api_keys add column made_by bigint;
alter table api_keys add column last_used_at bigint;
create index api_keys_by_maker on api_keys (made_by);
