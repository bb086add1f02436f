-- What an attempt's work was, written in its own transaction: the answer may be lost, what was done is known. `body` is
-- then what the answer needs besides, until it is stored.
alter table idempotency add column resource text;
alter table idempotency add column resource_id text;
