-- Facts about this database: its format, its secret for keyed digests, which tenant is the platform.
-- A reference table: the same few rows for every root.
create table meta (
    name  text collate "C" not null primary key,
    value bytea not null
);
