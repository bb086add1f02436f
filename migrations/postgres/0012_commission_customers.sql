-- What resellers earned from each customer: commission is paid only from money that came in from it.

-- How far it is added up from the journal, in its order and beside `commission_months`; what came before either table is
-- added once, from the beginning. `is_complete` = 0: some of that was gone already. `own_cents`: what the reseller bought for
-- customers that it collects from itself, or for its own use; it is in its commission, and comes from no customer.
create table commission_positions (
    root_id     bigint not null,
    tenant_id   bigint not null,
    currency    text collate "C" not null,
    through_seq bigint not null,
    own_cents   bigint not null,
    is_complete bigint not null check (is_complete in (0, 1)),
    primary key (root_id, tenant_id, currency),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);

-- Charges received less charges paid, of every record of one customer.
create table commission_customers (
    root_id     bigint not null,
    tenant_id   bigint not null,
    currency    text collate "C" not null,
    customer_id bigint not null,
    cents       bigint not null,
    primary key (root_id, tenant_id, currency, customer_id),
    foreign key (root_id, tenant_id) references tenants (root_id, id),
    foreign key (root_id, customer_id) references tenants (root_id, id)
);

do $$
declare
    t text;
begin
    foreach t in array array['commission_positions', 'commission_customers']
    loop
        execute format('alter table %I enable row level security', t);
        execute format(
            'create policy roots_seen on %I for select using (root_id = any ((select string_to_array(nullif(current_setting(%L, true), %L), %L))::bigint[]))',
            t, 'centwise.roots', '', ','
        );
    end loop;
end $$;
