-- When a root's latest batch was committed: the next one is never dated before, whichever process writes it.
alter table heads add column committed_us bigint;
update heads h set committed_us = coalesce(
    (select max(b.committed_us) from batches b where b.root = h.root and b.batch = h.batch),
    (select max(o.committed_us) from openings o where o.root = h.root),
    0);
alter table heads alter column committed_us set not null;
