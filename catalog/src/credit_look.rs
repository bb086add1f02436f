//! Buyers that the platform collects from, with more credit than it lets their sellers give:
//! `health-check` lists them.

/// Names that are listed.
pub const NAMED_MAX: usize = 100;

/// Whether the records know of caps: a file that no server of this version has opened yet does not.
pub const IS_MIGRATED: &str =
    "select count(*) from pragma_table_info('agreements') where name = 'credit_cap_cents'";

/// In force at an instant, and not by the platform's own word: agreements from before there were
/// caps, or a lower cap since.
pub const OVER_CAP: &str = "select t.external_id from agreements a join tenants t on t.root_id = \
    a.root_id and t.id = a.buyer_id \
    where a.collect = 'platform' and a.buyer_id <> a.root_id and a.from_at <= $1 and (a.until_at \
    is null or a.until_at > $1) \
    and not exists (select 1 from tenants w where w.id = a.author_id and w.kind = 'platform') \
    and (a.credit_limit_cents is null or a.credit_limit_cents > coalesce((select \
    s.credit_cap_cents from agreements s \
        where s.root_id = a.root_id and s.buyer_id = a.seller_id and s.from_at <= $1 and \
        (s.until_at is null or s.until_at > $1) limit 1), 0)) \
    order by t.external_id limit 101";
