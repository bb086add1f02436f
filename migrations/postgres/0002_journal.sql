-- The journal: append-only, each root by itself. Tables and columns are those of SQLite, with the root first
-- in every key; what a single writer keeps in memory, several processes share here.

-- Numbers of the roots: a seq is the root's number above the record's position in its root. A reference table.
create table roots (
    number bigint not null primary key,
    root   bigint not null unique
);

-- Every root's latest batch. The row is the root's lock and its version: every write to the root's journal
-- moves it, and locks it before anything is read.
create table heads (
    root     bigint not null primary key,
    number   bigint not null,
    batch    bigint not null,
    last_seq bigint not null,
    hash     bytea  not null,
    -- The last batch that accounts, carries and counters include; what follows is in `batches.states`.
    folded   bigint not null
) with (fillfactor = 50);

-- Records, batches and lists are kept by month of arrival, so that retention drops whole tables. Their keys
-- are made with each month's table: of records (root, seq), (root, key) and the list (root, tenant, seq); of
-- batches (root, batch); of lists (root, tenant, kind, currency, first_seq).
create table records (
    root            bigint   not null,
    seq             bigint   not null,
    batch           bigint   not null,
    tenant          bigint   not null,
    at_us           bigint   not null,
    received_us     bigint   not null,
    key             uuid,               -- of the identity: time first where the id has one; null: never looked up
    kind            smallint not null,
    namespace       smallint not null,
    source          text collate "C" not null,
    id              text collate "C" not null,
    content         bytea    not null,
    personal_digest bytea    not null,
    body            bytea    not null,  -- packed
    personal        bytea               -- packed, erasable
) partition by range (received_us);

-- One commit of one root, and the head of its hash chain after it.
create table batches (
    root         bigint not null,
    batch        bigint not null,
    first_seq    bigint not null,
    last_seq     bigint not null,
    records      bigint not null,
    hash         bytea  not null,
    committed_us bigint not null,
    states       bytea  not null   -- packed: accounts, carries, counters and holds that it changed, keys it recorded
) partition by range (committed_us);

-- Lists of accounts that are no leaf customer's own: the records of one batch that touched one of them.
create table touched (
    root      bigint   not null,
    tenant    bigint   not null,
    kind      smallint not null,
    currency  integer  not null,  -- ISO 4217 numeric
    first_seq bigint   not null,
    last_seq  bigint   not null,
    received_us bigint not null,
    seqs      bytea    not null   -- packed
) partition by range (received_us);

create table accounts (
    root     bigint   not null,
    tenant   bigint   not null,
    kind     smallint not null,
    currency integer  not null,  -- ISO 4217 numeric
    posted   bigint   not null,
    held     bigint   not null,
    primary key (root, tenant, kind, currency)
) with (fillfactor = 70);

create table carries (
    root     bigint not null,
    customer bigint not null,
    links    bytea  not null,  -- packed: (buyer of the link, 10^-12 cents)
    primary key (root, customer)
) with (fillfactor = 70);

create table counters (
    root          bigint  not null,
    buyer         bigint  not null,
    rate_key      bigint  not null,
    month         integer not null,  -- year * 12 + month - 1
    quantity_nano text    not null,  -- billionths: more than 64 bits
    events        bigint  not null,
    primary key (root, buyer, rate_key, month)
) with (fillfactor = 70);

create table members (
    root     bigint  not null,
    buyer    bigint  not null,
    rate_key bigint  not null,
    month    integer not null,
    value    text collate "C" not null,
    count    bigint  not null,
    at_us    bigint  not null,
    primary key (root, buyer, rate_key, month, value)
) with (fillfactor = 70);

create table holds (
    id         bigint   not null,
    root       bigint   not null,
    customer   bigint   not null,
    state      smallint not null,
    expires_us bigint   not null,
    body       bytea    not null,  -- packed
    primary key (root, id)
) with (fillfactor = 70);
create index holds_open on holds (root, expires_us, id) where state = 1;
create index holds_by_id on holds (id);

-- Under the root of the record that amends; an event kept before its customer was known may lie under another.
create table amendments (
    root bigint   not null,
    seq  bigint   not null,
    kind smallint not null,
    by   bigint   not null,
    primary key (root, seq)
);
create index amendments_by_seq on amendments (seq);

create table unrated (
    root bigint not null,
    seq  bigint not null,
    primary key (root, seq)
);
