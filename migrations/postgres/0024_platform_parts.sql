-- What the platform was paid for each customer is added up beside what resellers earned: its rows are in the customers' root,
-- where the platform itself is not.
alter table commission_positions drop constraint commission_positions_root_id_tenant_id_fkey;
alter table commission_customers drop constraint commission_customers_root_id_tenant_id_fkey;
