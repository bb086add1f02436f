-- Payments through providers: what was asked for, what came of it, what they told us.

-- Money that comes in through a payment provider: asked for here before the provider is. `request_key` names the caller's
-- request, so that it is one payment page whatever happens in between; `generation` counts definitive refusals; the row is
-- looked at again at `next_at`.
create table top_ups (
    id           integer not null primary key,
    root_id      integer not null,
    tenant_id    integer not null,
    currency     text not null,
    cents        integer not null check (cents > 0),
    origin       text not null check (origin in ('checkout', 'auto')),
    state        text not null check (state in ('pending', 'processing', 'succeeded', 'failed', 'expired')),
    request_key  text not null,
    token        blob not null check (length(token) = 16),
    request_json text not null,
    session_id   text,
    url          text,
    payment_id   text,
    failure      text,
    generation   integer not null,
    attempts     integer not null,
    next_at      integer,
    created_at   integer not null,
    updated_at   integer not null,
    expires_at   integer not null
) strict;
create unique index top_ups_by_request on top_ups (root_id, request_key);
create index top_ups_by_tenant on top_ups (tenant_id, id);
create index top_ups_by_session on top_ups (session_id) where session_id is not null;
create index top_ups_by_payment on top_ups (payment_id) where payment_id is not null;
create index top_ups_by_token on top_ups (token);
create index top_ups_due on top_ups (next_at) where next_at is not null;

-- What a provider's payment has come to in the books. The journal is the truth: step number `generation` of a payment is
-- posted under `<id>:<generation>`, and this row tells where that stands.
create table payments (
    id              text not null primary key,
    root_id         integer not null,
    tenant_id       integer not null,
    top_up_id       integer not null,
    currency        text not null,
    status          text not null,
    is_own          integer not null check (is_own in (0, 1)),
    generation      integer not null,
    balance_cents   integer not null,
    disputed_cents  integer not null,
    suspense_cents  integer not null,
    expense_cents   integer not null,
    received_cents  integer not null,
    refunded_cents  integer not null,
    withdrawn_cents integer not null,
    open_disputes   integer not null,
    created_at      integer not null,
    updated_at      integer not null
) strict;
create index payments_by_tenant on payments (tenant_id, id);
create index payments_by_top_up on payments (top_up_id);
create index payments_in_suspense on payments (suspense_cents) where suspense_cents <> 0;

-- Money we give back. The debit is posted first.
create table refunds (
    id          integer not null primary key,
    root_id     integer not null,
    tenant_id   integer not null,
    top_up_id   integer not null,
    payment_id  text not null,
    cents       integer not null check (cents > 0),
    currency    text not null,
    state       text not null check (state in ('pending', 'sent', 'succeeded', 'failed')),
    request_key text not null,
    reason      text not null,
    provider_id text,
    failure     text,
    generation  integer not null,
    attempts    integer not null,
    next_at     integer,
    created_at  integer not null,
    updated_at  integer not null
) strict;
create unique index refunds_by_request on refunds (root_id, request_key);
create index refunds_by_payment on refunds (payment_id);
create index refunds_by_top_up on refunds (top_up_id);
create index refunds_due on refunds (next_at) where next_at is not null;

-- What a provider told us: kept before it is answered, worked off behind. The platform's root holds them, because whose
-- they are is known only then.
create table provider_events (
    id          text not null primary key,
    root_id     integer not null,
    provider    text not null,
    account     text,
    kind        text not null,
    object_json text not null,
    is_live     integer not null check (is_live in (0, 1)),
    created_at  integer not null,
    received_at integer not null,
    body        blob,
    state       text not null check (state in ('waiting', 'done', 'ignored', 'stuck')),
    attempts    integer not null,
    next_at     integer,
    note        text
) strict;
create index provider_events_due on provider_events (next_at) where next_at is not null;
create index provider_events_by_age on provider_events (received_at);
