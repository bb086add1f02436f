-- Facts about this database: its format, its secret for keyed digests.
create table meta (
    name  text not null primary key,
    value blob not null
) strict;
