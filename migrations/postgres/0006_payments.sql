-- Payments through providers: what was asked for, what came of it, what they told us.

-- Money that comes in through a payment provider: asked for here before the provider is. `request_key` names the caller's
-- request, so that it is one payment page whatever happens in between; `generation` counts definitive refusals; the row is
-- looked at again at `next_at`.
create table top_ups (
    id           bigint not null,
    root_id      bigint not null,
    tenant_id    bigint not null,
    currency     text not null,
    cents        bigint not null check (cents > 0),
    origin       text not null check (origin in ('checkout', 'auto')),
    state        text not null check (state in ('pending', 'processing', 'succeeded', 'failed', 'expired')),
    request_key  text collate "C" not null,
    token        bytea not null check (length(token) = 16),
    request_json text not null,
    session_id   text collate "C",
    url          text,
    payment_id   text collate "C",
    failure      text,
    generation   bigint not null,
    attempts     bigint not null,
    next_at      bigint,
    created_at   bigint not null,
    updated_at   bigint not null,
    expires_at   bigint not null,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index top_ups_by_id on top_ups (id);
create unique index top_ups_by_request on top_ups (root_id, request_key);
create index top_ups_by_tenant on top_ups (tenant_id, id);
create index top_ups_by_session on top_ups (session_id) where session_id is not null;
create index top_ups_by_payment on top_ups (payment_id) where payment_id is not null;
create index top_ups_by_token on top_ups (token);
create index top_ups_due on top_ups (next_at) where next_at is not null;
alter table top_ups enable row level security;
create policy roots_seen on top_ups for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

-- What a provider's payment has come to in the books. The journal is the truth: step number `generation` of a payment is
-- posted under `<id>:<generation>`, and this row tells where that stands.
create table payments (
    id              text collate "C" not null,
    root_id         bigint not null,
    tenant_id       bigint not null,
    top_up_id       bigint not null,
    currency        text not null,
    status          text not null,
    is_own          bigint not null check (is_own in (0, 1)),
    generation      bigint not null,
    balance_cents   bigint not null,
    disputed_cents  bigint not null,
    suspense_cents  bigint not null,
    expense_cents   bigint not null,
    received_cents  bigint not null,
    refunded_cents  bigint not null,
    withdrawn_cents bigint not null,
    open_disputes   bigint not null,
    created_at      bigint not null,
    updated_at      bigint not null,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index payments_by_id on payments (id);
create index payments_by_tenant on payments (tenant_id, id);
create index payments_by_top_up on payments (top_up_id);
create index payments_in_suspense on payments (suspense_cents) where suspense_cents <> 0;
alter table payments enable row level security;
create policy roots_seen on payments for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

-- Money we give back. The debit is posted first.
create table refunds (
    id          bigint not null,
    root_id     bigint not null,
    tenant_id   bigint not null,
    top_up_id   bigint not null,
    payment_id  text collate "C" not null,
    cents       bigint not null check (cents > 0),
    currency    text not null,
    state       text not null check (state in ('pending', 'sent', 'succeeded', 'failed')),
    request_key text collate "C" not null,
    reason      text not null,
    provider_id text,
    failure     text,
    generation  bigint not null,
    attempts    bigint not null,
    next_at     bigint,
    created_at  bigint not null,
    updated_at  bigint not null,
    primary key (root_id, id),
    foreign key (root_id, tenant_id) references tenants (root_id, id)
);
create index refunds_by_id on refunds (id);
create unique index refunds_by_request on refunds (root_id, request_key);
create index refunds_by_payment on refunds (payment_id);
create index refunds_by_top_up on refunds (top_up_id);
create index refunds_due on refunds (next_at) where next_at is not null;
alter table refunds enable row level security;
create policy roots_seen on refunds for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));

-- What a provider told us: kept before it is answered, worked off behind. The platform's root holds them, because whose
-- they are is known only then.
create table provider_events (
    id          text collate "C" not null,
    root_id     bigint not null,
    provider    text not null,
    account     text,
    kind        text not null,
    object_json text not null,
    is_live     bigint not null check (is_live in (0, 1)),
    created_at  bigint not null,
    received_at bigint not null,
    body        bytea,
    state       text not null check (state in ('waiting', 'done', 'ignored', 'stuck')),
    attempts    bigint not null,
    next_at     bigint,
    note        text,
    primary key (root_id, id)
);
create index provider_events_by_id on provider_events (id);
create index provider_events_due on provider_events (next_at) where next_at is not null;
create index provider_events_by_age on provider_events (received_at);
alter table provider_events enable row level security;
create policy roots_seen on provider_events for select
    using (root_id = any ((select string_to_array(nullif(current_setting('centwise.roots', true), ''), ','))::bigint[]));
