-- Where a root's journal begins once months were dropped: its books at the end of a batch, audited before the records
-- up to it went. `hash` is the head of its chain there; `digest` binds all of it together.
create table openings (
    root         bigint not null primary key,
    batch        bigint not null,
    last_seq     bigint not null,
    hash         bytea  not null,
    committed_us bigint not null,  -- of the batch
    from_us      bigint not null,  -- what arrived from here on is there
    since_us     bigint not null,  -- when records of the root were dropped first
    totals       bytea  not null,  -- packed: balances, carries, counters and open holds
    digest       bytea  not null
);

alter table openings enable row level security;
create policy roots_seen on openings for select
    using (root = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
