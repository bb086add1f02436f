-- Where a root's journal begins once its first records are gone. The embedded database keeps everything: the table is
-- empty, and the same as on PostgreSQL.
create table openings (
    root         integer not null primary key,
    batch        integer not null,
    last_seq     integer not null,
    hash         blob    not null,
    committed_us integer not null,
    from_us      integer not null,
    since_us     integer not null,
    totals       blob    not null,
    digest       blob    not null
) strict;
