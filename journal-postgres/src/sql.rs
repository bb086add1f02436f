//! Statements. Every one names its roots, or is a look-up by an id that belongs to one root only.
//!
//! Look-ups of many rows are `cross join lateral (… offset 0)`: one by one through the index. A
//! plain join is planned while the month's tables are still empty, as a scan of all of them, and
//! kept while they grow.

/// As `rows::record` reads them, of a table named `r`.
macro_rules! record_columns {
    () => {
        "r.root, r.seq, r.tenant, r.kind, r.namespace, r.source, r.id, r.at_us, r.received_us, \
            r.content, r.body, r.personal, r.personal_digest, r.reporter"
    };
}

/// Declares statements and lists them for the test that prepares each.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub const $name: &str = $sql;)+
        /// Every statement, for the tests that prepare each.
        pub const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

pub use db::{NO_TIMEOUT, SNAPSHOT};

/// As long as it takes.
pub const PATIENT: &str =
    "begin; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";

statements! {
    ISOLATION = "select current_setting('transaction_isolation')";

    AUDIT_ROWS = "select r.seq, r.batch, r.root, r.tenant, r.kind, r.namespace, r.source, r.id, \
        r.at_us, r.received_us, r.content, \
        r.body, r.personal, r.personal_digest, r.reporter from records r where r.root = $1 and \
        r.seq > $2 and r.seq <= $4 order by r.seq limit $3";
    AUDIT_IDENTITIES = "select r.seq, r.root, r.namespace, r.source, r.id, r.reporter from \
        records r where r.root = $1 and r.seq > $2 \
        order by r.seq limit $3";
    AUDIT_BATCHES = "select b.batch, b.root, b.first_seq, b.last_seq, b.records, b.hash, \
        b.committed_us from batches b \
        where b.root = $1 and b.batch > $2 and b.batch <= $3 order by b.batch";
    AUDIT_KEYS = "select t.id, t.personal_key from tenants t where t.personal_key is not null";
    AUDIT_ACCOUNTS = "select a.tenant, a.kind, a.currency, a.posted, a.held from accounts a where \
        a.root = $1";
    AUDIT_CARRIES = "select c.customer, c.links from carries c where c.root = $1";
    AUDIT_COUNTERS = "select c.buyer, c.rate_key, c.month, c.quantity_nano, c.events, c.segment \
        from counters c where c.root = $1";
    /// By records that are there.
    AUDIT_AMENDMENTS = "select a.seq, a.kind, a.by from amendments a where a.root = $1 and a.by > \
        $2";

    LAST_ARRIVAL = "select max(coalesce(b.committed_us, o.committed_us)) from heads h \
        left join batches b on b.root = h.root and b.batch = h.batch left join openings o on \
        o.root = h.root";
    LAST_COMMITTED = "select max(committed_us) from heads";
    COUNT_UNRATED = "select count(*) from unrated";
    COUNT_FREE_RETAIL = "select count(*) from agreements where free_retail = 1 and (until_at is \
        null or until_at > $1)";
    EXTERNAL_ID = "select external_id from tenants where id = $1";
    LIMITS = "select g.buyer_id, g.credit_limit_cents from agreements g \
        where g.credit_limit_cents is not null and g.from_at <= $1 and (g.until_at is null or \
        g.until_at > $1)";

    /// An installation is about to be moved here: its platform, and that it is not all here yet.
    CLAIM = "insert into meta (name, value) values ('platform', $1), ($2, '') on conflict do \
        nothing";
    RELEASE = "delete from meta where name = $1";
    COLUMNS = "select column_name::text, data_type::text from information_schema.columns \
        where table_schema = current_schema() and table_name = $1 order by ordinal_position";
    FOLD_HEADS = "update heads set folded = batch";
    COUNT_RECORDS = "select kind, count(*) from records group by kind";
    COUNT_HOLDS = "select state, count(*) from holds group by state";
    SUM_ACCOUNTS = "select kind, currency, count(*), sum(posted)::text, sum(held)::text from \
        accounts group by kind, currency";
    SUM_COUNTERS = "select count(*), coalesce(sum(events), 0)::text, \
        coalesce(sum(quantity_nano::numeric), 0)::text from counters";
    SUM_DISTINCT_VALUES = "select count(*), coalesce(sum(count), 0)::text from members";

    GET_META = "select value from meta where name = $1";
    PUT_META = "insert into meta (name, value) values ($1, $2) on conflict (name) do nothing";

    NUMBER_OF = "select number from roots where root = $1";
    /// Twice at once: one of them takes no row, and looks again.
    PUT_NUMBER = "insert into roots (number, root) select coalesce(max(number), 0) + 1, $1 from \
        roots on conflict do nothing";
    PUT_HEAD = "insert into heads (root, number, batch, last_seq, hash, folded, reporters, \
        committed_us) \
        values ($1, $2, 0, $2::bigint << 40, $3, 0, 0, 0) \
        on conflict (root) do nothing";
    HEADS = "select root, number, batch, last_seq, hash, folded, reporters, committed_us from \
        heads where root = any($1)";
    LOCK_HEADS = "select root, number, batch, last_seq, hash, folded, reporters, committed_us \
        from heads where root = any($1) order by root for update";
    EVERY_HEAD = "select root, number, batch, last_seq, hash, folded, reporters, committed_us \
        from heads order by number";
    MOVE_HEADS = "update heads h set batch = u.batch, last_seq = u.last_seq, hash = u.hash, \
        folded = greatest(h.folded, u.folded), \
        reporters = u.reporters, committed_us = u.committed_us \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[], \
        $6::bigint[], $7::bigint[]) \
        as u (root, batch, last_seq, hash, folded, reporters, committed_us) \
        where h.root = u.root and h.batch = u.batch - 1";
    BATCH_HASH = "select hash from batches where root = $1 and batch = $2";

    /// Of roots, the batches after those.
    STATES_SINCE = "select b.root, b.batch, b.states from unnest($1::bigint[], $2::bigint[]) as w \
        (root, batch) \
        cross join lateral (select * from batches x where x.root = w.root and x.batch > w.batch \
        offset 0) b order by b.root, b.batch";
    /// With the hashes of those themselves.
    STATES_FROM = "select b.root, b.batch, case when b.batch = w.batch then b.hash end, case when \
        b.batch > w.batch then b.states end \
        from unnest($1::bigint[], $2::bigint[]) as w (root, batch) \
        cross join lateral (select * from batches x where x.root = w.root and x.batch >= w.batch \
        offset 0) b order by b.root, b.batch";
    OPEN_HOLDS = "select h.body from holds h where h.root = any($1) and h.state = 1";
    LAST_TIMED_KEY = "select w.root, (select r.key from records r where r.root = w.root and r.key \
        < '80000000-0000-0000-0000-000000000000' \
        order by r.key desc limit 1) \
        from unnest($1::bigint[]) as w (root)";
    FIND = concat!(
        "select ", record_columns!(), ", w.place from unnest($1::bigint[], $2::uuid[]) with \
            ordinality as w (root, key, place) \
         cross join lateral (select * from records x where x.root = w.root and x.key = w.key \
         offset 0) r order by r.seq"
    );

    ACCOUNTS_OF = "select a.tenant, a.kind, a.currency, a.posted, a.held \
        from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::integer[]) as w (root, \
        tenant, kind, currency) \
        cross join lateral (select * from accounts x where x.root = w.root and x.tenant = \
        w.tenant and x.kind = w.kind \
        and x.currency = w.currency offset 0) a";
    CARRIES_OF = "select c.customer, c.links from unnest($1::bigint[], $2::bigint[]) as w (root, \
        customer) \
        cross join lateral (select * from carries x where x.root = w.root and x.customer = \
        w.customer offset 0) c";
    COUNTERS_OF = "select c.buyer, c.rate_key, c.month, c.quantity_nano, c.events, c.segment \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[]) as w (root, buyer, \
        rate_key, month) \
        cross join lateral (select * from counters x where x.root = w.root and x.buyer = w.buyer \
        and x.rate_key = w.rate_key \
        and x.month = w.month offset 0) c";
    DISTINCT_VALUES_OF = "select m.buyer, m.rate_key, m.month, m.value, m.count, m.at_us \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::text[]) as w \
        (root, buyer, rate_key, month, value) \
        cross join lateral (select * from members x where x.root = w.root and x.buyer = w.buyer \
        and x.rate_key = w.rate_key \
        and x.month = w.month and x.value = w.value offset 0) m";
    ALL_DISTINCT_VALUES_OF = "select m.buyer, m.rate_key, m.month, m.value, m.count, m.at_us \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[]) as w (root, buyer, \
        rate_key, month) \
        cross join lateral (select * from members x where x.root = w.root and x.buyer = w.buyer \
        and x.rate_key = w.rate_key \
        and x.month = w.month offset 0) m";
    HOLDS_OF = "select h.body from unnest($1::bigint[], $2::bigint[]) as w (root, id) \
        cross join lateral (select * from holds x where x.root = w.root and x.id = w.id offset 0) \
        h";
    HOLDS_BY_ID = "select h.body from holds h where h.id = any($1)";
    AMENDMENTS_BY_SEQ = "select a.seq, a.kind, a.by from amendments a where a.seq = any($1)";
    ROOTS_OF_TENANTS = "select t.id, t.root_id from tenants t where t.id = any($1)";
    EXPIRED_HOLDS = "select e.body from heads h cross join lateral (select x.body, x.expires_us, \
        x.id from holds x \
        where x.root = h.root and x.state = 1 and x.expires_us <= $1 order by x.expires_us, x.id \
        limit $2) e \
        order by e.expires_us, e.id limit $2";

    COPY_RECORDS = "copy records (root, seq, batch, tenant, at_us, received_us, key, kind, \
        namespace, source, id, content, \
        personal_digest, body, personal, reporter) from stdin (format binary)";
    PUT_RECORDS = "insert into records (root, seq, batch, tenant, at_us, received_us, key, kind, \
        namespace, source, id, content, \
        personal_digest, body, personal, reporter) select * from unnest($1::bigint[], \
        $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
        $6::bigint[], $7::uuid[], $8::smallint[], $9::smallint[], $10::text[], $11::text[], \
        $12::bytea[], $13::bytea[], $14::bytea[], \
        $15::bytea[], $16::bigint[])";
    PUT_BATCHES = "insert into batches (root, batch, first_seq, last_seq, records, hash, \
        committed_us, states) select * \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
        $6::bytea[], $7::bigint[], $8::bytea[])";
    PUT_TOUCHED = "insert into touched (root, tenant, kind, currency, first_seq, last_seq, \
        received_us, seqs) select * \
        from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::integer[], $5::bigint[], \
        $6::bigint[], $7::bigint[], $8::bytea[])";
    REPORTERS = "select r.root, r.namespace, r.reporter from reporters r where r.root = any($1)";
    PUT_REPORTERS = "insert into reporters (root, namespace, reporter) select * \
        from unnest($1::bigint[], $2::smallint[], $3::bigint[]) on conflict do nothing";
    PUT_UNRATED = "insert into unrated (root, seq) select * from unnest($1::bigint[], \
        $2::bigint[])";
    PUT_ACCOUNTS = "insert into accounts (root, tenant, kind, currency, posted, held) select * \
        from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::integer[], $5::bigint[], \
        $6::bigint[]) \
        on conflict (root, tenant, kind, currency) do update set posted = excluded.posted, held = \
        excluded.held";
    PUT_CARRIES = "insert into carries (root, customer, links) select * from unnest($1::bigint[], \
        $2::bigint[], $3::bytea[]) \
        on conflict (root, customer) do update set links = excluded.links";
    PUT_COUNTERS = "insert into counters (root, buyer, rate_key, month, quantity_nano, events, \
        segment) select * \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::text[], \
        $6::bigint[], $7::bytea[]) \
        on conflict (root, buyer, rate_key, month) do update set quantity_nano = \
        excluded.quantity_nano, events = excluded.events, \
        segment = excluded.segment";
    PUT_DISTINCT_VALUES = "insert into members (root, buyer, rate_key, month, value, count, at_us) select \
        * \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::text[], \
        $6::bigint[], $7::bigint[]) \
        on conflict (root, buyer, rate_key, month, value) do update set count = excluded.count, \
        at_us = excluded.at_us";
    PUT_HOLDS = "insert into holds (id, root, customer, state, expires_us, body) select * \
        from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], \
        $6::bytea[]) \
        on conflict (root, id) do update set customer = excluded.customer, state = excluded.state, \
        expires_us = excluded.expires_us, body = excluded.body";
    PUT_AMENDMENTS = "insert into amendments (root, seq, kind, by) select * \
        from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) \
        on conflict (root, seq) do update set kind = excluded.kind, by = excluded.by";
    DELETE_UNRATED = "delete from unrated u using unnest($1::bigint[], $2::bigint[]) as w (root, \
        seq) where u.root = w.root and u.seq = w.seq";

    RECORDS_BY_SEQ = concat!(
        "select ", record_columns!(), " from unnest($1::bigint[], $2::bigint[]) as w (root, seq) \
         cross join lateral (select * from records x where x.root = w.root and x.seq = w.seq \
         offset 0) r order by r.seq"
    );
    RECORDS_UP = concat!("select ", record_columns!(), " from records r where r.root = $1 and \
        r.seq > $2 order by r.seq limit $3");
    RECORDS_DOWN = concat!("select ", record_columns!(), " from records r where r.root = $1 and \
        r.seq < $2 order by r.seq desc limit $3");
    /// Of one customer, in whichever of the roots it is.
    CUSTOMER_UP = "select e.seq from unnest($1::bigint[]) as w (root) cross join lateral (select \
        r.seq from records r \
        where r.root = w.root and r.tenant = $2 and r.seq > $3 order by r.seq limit $4) e order \
        by e.seq limit $4";
    CUSTOMER_DOWN = "select e.seq from unnest($1::bigint[]) as w (root) cross join lateral \
        (select r.seq from records r \
        where r.root = w.root and r.tenant = $2 and r.seq < $3 order by r.seq desc limit $4) e \
        order by e.seq desc limit $4";
    TOUCHED_UP = "select e.first_seq, e.seqs from unnest($1::bigint[]) as w (root) cross join \
        lateral (select t.first_seq, t.seqs \
        from touched t where t.root = w.root and t.tenant = $2 and t.kind = $3 and t.currency = \
        $4 and t.last_seq > $5 \
        order by t.last_seq limit $6) e order by e.first_seq limit $6";
    TOUCHED_DOWN = "select e.first_seq, e.seqs from unnest($1::bigint[]) as w (root) cross join \
        lateral (select t.first_seq, t.seqs \
        from touched t where t.root = w.root and t.tenant = $2 and t.kind = $3 and t.currency = \
        $4 and t.first_seq < $5 \
        order by t.first_seq desc limit $6) e order by e.first_seq desc limit $6";
    OPENING_OF = "select o.root, o.batch, o.last_seq, o.hash, o.committed_us, o.from_us, \
        o.since_us, o.totals, o.digest \
        from openings o where o.root = $1";
    PUT_OPENING = "insert into openings (root, batch, last_seq, hash, committed_us, from_us, \
        since_us, totals, digest) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (root) do update set batch = \
        excluded.batch, last_seq = excluded.last_seq, \
        hash = excluded.hash, committed_us = excluded.committed_us, from_us = excluded.from_us, \
        since_us = excluded.since_us, \
        totals = excluded.totals, digest = excluded.digest";
    BEGINNING_OF = "select o.from_us, o.since_us from openings o where o.root = $1";
    LATEST_BEGINNING = "select max(o.from_us) from openings o";
    /// The last batch of a root that committed before an instant; the one of its last record that
    /// arrived before it.
    LAST_BATCH_BEFORE = "select max(b.batch) from batches b where b.root = $1 and b.committed_us \
        < $2";
    LAST_RECORD_BEFORE = "select r.batch from records r where r.root = $1 and r.received_us < $2 \
        order by r.seq desc limit 1";
    BATCH_OF = "select b.batch, b.root, b.first_seq, b.last_seq, b.records, b.hash, \
        b.committed_us from batches b \
        where b.root = $1 and b.batch = $2";
    /// Anything of a root up to a batch and its last seq that came at an instant or later.
    IS_LATER = "select exists (select 1 from batches b where b.root = $1 and b.batch <= $2 and \
        b.committed_us >= $4) \
        or exists (select 1 from records r where r.root = $1 and r.seq <= $3 and r.received_us >= \
        $4)";
    COUNT_UNRATED_UNTIL = "select count(*) from unrated u where u.root = $1 and u.seq <= $2";
    MOVE_FOLDED = "update heads set folded = $2 where root = $1 and folded < $2";
    DELETE_UNRATED_UNTIL = "delete from unrated where root = $1 and seq <= $2";
    /// Both ends of them are gone. What is of another root stays: it may be there, and must not be
    /// rated again.
    DELETE_AMENDMENTS_UNTIL = "delete from amendments where root = $1 and by <= $2 and seq > $3 \
        and seq <= $2";
    LATE_WINDOW_MAX = "select coalesce(max(t.late_window_days), 0) from tenants t";
    /// Tables of months: name, attached, on its way out.
    MONTH_TABLES = "select c.relname::text, i.inhrelid is not null, coalesce(i.inhdetachpending, \
        false) \
        from pg_class c left join pg_inherits i on i.inhrelid = c.oid \
        where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' \
        and c.relname ~ '^(touched|records|batches)_y[0-9]{4,}m[0-9]{2}$'";
    /// Few: of batches that began before the end of the last month and committed after it, or the
    /// other way round.
    DELETE_RECORDS_UNTIL = "delete from records r using openings o where r.root = o.root and \
        r.seq <= o.last_seq and r.received_us < $1";
    DELETE_BATCHES_UNTIL = "delete from batches b using openings o where b.root = o.root and \
        b.batch <= o.batch and b.committed_us < $1";
    DELETE_TOUCHED_UNTIL = "delete from touched t using openings o where t.root = o.root and \
        t.last_seq <= o.last_seq and t.received_us < $1";

    UNRATED_UP = "select u.seq from unrated u where u.root = $1 and u.seq > $2 order by u.seq \
        limit $3";
    UNRATED_DOWN = "select u.seq from unrated u where u.root = $1 and u.seq < $2 order by u.seq \
        desc limit $3";
}
