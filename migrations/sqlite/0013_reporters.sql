-- Whose key reported: part of a record's identity. Null: the platform's, and whatever was recorded before.
alter table records add column reporter integer;

-- Who has ever reported usage, or placed holds, in the books of a root: others who may have used the same ids are looked
-- for only among these.
create table reporters (
    root      integer not null,
    namespace integer not null,  -- 1: usage, 3: holds
    reporter  integer not null,  -- 0: the platform
    primary key (root, namespace, reporter)
) strict, without rowid;

insert into reporters (root, namespace, reporter) select root, 1, 0 from heads;
insert into reporters (root, namespace, reporter) select root, 3, 0 from heads;
