-- A second wall between roots. The server owns the tables and sees every row; what it reads on behalf of a key of one
-- root it reads as `centwise_reader`, which sees only rows of the roots named in `centwise.roots` for the transaction
-- (ids with commas in between), and without them none. The same holds for every other role that may read these tables.
-- The server makes that role and its grants when it opens the database: a role belongs to the whole cluster.

do $$
declare
    t record;
begin
    -- Every table that belongs to roots. The look-ups before a root is known are the server's alone.
    for t in
        select c.oid::regclass as name, a.attname as root
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname in ('root', 'root_id')
        where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
            and c.relname not in ('key_hashes', 'root_names', 'roots')
    loop
        execute format('alter table %s enable row level security', t.name);
        execute format(
            'create policy roots_seen on %s for select using (%I = any ((select string_to_array(nullif(current_setting(%L, true), %L), %L))::bigint[]))',
            t.name, t.root, 'centwise.roots', '', ','
        );
    end loop;
end $$;
