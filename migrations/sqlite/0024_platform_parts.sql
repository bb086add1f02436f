-- What the platform was paid for each customer is added up beside what resellers earned, in the customers' root: a seller is any
-- tenant here already.

-- What a seller lost in single steps while those below it gained, and what it gained in others. Of what was added up before,
-- nothing is known.
alter table commission_customers add column passed_cents integer not null default 0;
alter table commission_customers add column gained_cents integer not null default 0;
