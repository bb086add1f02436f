-- The journal: append-only, in order of arrival. States and indexes are derived from it, in the same
-- transaction or from its tail. The physical order suits one writer: nothing random is ever inserted
-- on the hot path but states, which are few and hot.

create table records (
    seq             integer not null primary key,
    batch           integer not null,
    root            integer not null,
    tenant          integer not null,
    kind            integer not null,
    namespace       integer not null,
    source          text    not null,
    id              text    not null,
    at_us           integer not null,
    received_us     integer not null,
    content         blob    not null,
    body            blob    not null,  -- packed
    personal        blob,              -- packed, erasable
    personal_digest blob    not null
) strict;

-- One root's part of one commit, and the head of its hash chain after it.
create table batches (
    batch        integer not null,
    root         integer not null,
    first_seq    integer not null,
    last_seq     integer not null,
    records      integer not null,
    hash         blob    not null,
    committed_us integer not null,
    primary key (batch, root)
) strict, without rowid;

-- Every root's latest batch, so that opening costs nothing that grows.
create table heads (
    root  integer not null primary key,
    batch integer not null,
    hash  blob    not null
) strict;

-- Accounts, carries and counters include the records up to `states_through` in `meta`.
create table accounts (
    tenant   integer not null,
    kind     integer not null,
    currency integer not null,  -- ISO 4217 numeric
    posted   integer not null,
    held     integer not null,
    primary key (tenant, kind, currency)
) strict, without rowid;
create index accounts_held on accounts (held) where held <> 0;

create table carries (
    customer integer not null primary key,
    links    blob    not null  -- packed: (buyer of the link, 10^-12 cents)
) strict;

create table counters (
    buyer         integer not null,
    rate_key      integer not null,
    month         integer not null,  -- year * 12 + month - 1
    quantity_nano text    not null,  -- billionths: more than 64 bits
    events        integer not null,
    primary key (buyer, rate_key, month)
) strict, without rowid;

create table members (
    buyer    integer not null,
    rate_key integer not null,
    month    integer not null,
    value    text    not null,
    count    integer not null,
    at_us    integer not null,
    primary key (buyer, rate_key, month, value)
) strict, without rowid;

create table holds (
    id         integer not null primary key,
    root       integer not null,
    customer   integer not null,
    state      integer not null,
    expires_us integer not null,
    body       blob    not null  -- packed
) strict;
create index holds_open on holds (expires_us, id) where state = 1;

create table amendments (
    seq  integer not null primary key,
    kind integer not null,
    by   integer not null
) strict;

create table unrated (
    root integer not null,
    seq  integer not null,
    primary key (root, seq)
) strict, without rowid;
create index unrated_seq on unrated (seq);

-- Sorted runs of the identity and account indexes. A run covers the records [first_seq, last_seq];
-- the live runs tile the journal from its first record on, and the rest of it is read at opening.
create table index_runs (
    run       integer not null primary key,
    state     integer not null,  -- 0 being written, 1 live, 2 replaced
    level     integer not null,
    first_seq integer not null,
    last_seq  integer not null,
    ids       blob    not null,  -- fences
    ids_filter blob   not null,
    ids_keys  integer not null,
    lists     blob    not null,
    lists_filter blob not null,
    lists_keys integer not null
) strict;

create table index_blocks (
    id   integer not null primary key,  -- run, part and number in one
    data blob    not null
) strict;
