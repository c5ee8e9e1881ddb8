-- $1 where the last look ended, as this gave it, or null: the beginning
-- $2 'again' for the first look of a connection: then a crash may lie between,
-- and what was made since is told, and some of what was told before
-- What was committed since: its transactions, each as '@', its number, a blank
-- and how many microseconds ago it said so, with its tags behind it.  The
-- outcome is "lost" when nobody can say: another database or another history of
-- it, rows that were pruned, too many.
with place as (
  select (select system_identifier from pg_control_system()) || '-'
      || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '-'
      || (select oid from pg_database where datname = current_database()) || '-'
      || 'pupitre.outbox'::regclass::oid as name,
    pg_current_snapshot() as now,
    extract(epoch from clock_timestamp()) as moment,
    case when split_part($1, '/', 2) ~ '^\d+:\d+:[\d,]*$'
      then split_part($1, '/', 2)::pg_snapshot end as seen,
    case when $2::text = 'again' and split_part($1, '/', 3) ~ '^\d{1,12}(\.\d{1,6})?$'
      then to_timestamp(split_part($1, '/', 3)::float8 - 1) end as since
), news as (
  (select o.xid, o.made_at, o.tags from place, pupitre.outbox o
    where o.xid >= pg_snapshot_xmin(place.seen) and not pg_visible_in_snapshot(o.xid, place.seen)
    order by o.xid limit 5001)
  union
  (select o.xid, o.made_at, o.tags from place, pupitre.outbox o
    where place.since is not null and o.made_at >= place.since
    order by o.xid limit 5001)
)
select case when place.seen is not null and split_part($1, '/', 1) = place.name
      and pg_snapshot_xmax(place.now) >= pg_snapshot_xmax(place.seen)
      and pg_snapshot_xmin(place.seen) > (select xid from pupitre.outbox_horizon)
      and ($2::text is distinct from 'again' or place.since is not null)
      and (select count(*) from news) <= 5000
    then 'ok' else 'lost' end as outcome,
  place.name || '/' || place.now || '/' || place.moment as body,
  array(select tag from news, unnest(
      array['@' || pupitre.outbox_id(news.xid, news.made_at) || ' '
        || greatest(0, (place.moment - extract(epoch from news.made_at)) * 1000000)::bigint]
      || news.tags) with ordinality
    as t(tag, i) order by news.xid, news.made_at, i) as tags
from place
