-- Whose key reported: part of a record's identity. Null: the platform's, and whatever was recorded before.
alter table records add column reporter bigint;

-- Who has ever reported usage, or placed holds, in the books of a root: others who may have used the same ids are looked
-- for only among these.
create table reporters (
    root      bigint   not null,
    namespace smallint not null,  -- 1: usage, 3: holds
    reporter  bigint   not null,  -- 0: the platform
    primary key (root, namespace, reporter)
);

insert into reporters (root, namespace, reporter) select root, 1, 0 from heads;
insert into reporters (root, namespace, reporter) select root, 3, 0 from heads;

-- How many of these a root has: whoever locks it notices that another process added one.
alter table heads add column reporters bigint;
update heads set reporters = 2;
alter table heads alter column reporters set not null;

alter table reporters enable row level security;
create policy roots_seen on reporters for select
    using (root = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
