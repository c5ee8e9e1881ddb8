-- $1 where the last look ended, as this gave it, or null: the beginning
-- What was committed since: its transactions, each as '@' and its number, with
-- its tags behind it.  The outcome is "lost" when nobody can say: another
-- database or another history of it, rows that were pruned, too many.
with place as (
  select (select system_identifier from pg_control_system()) || '-'
      || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '-'
      || (select oid from pg_database where datname = current_database()) || '-'
      || 'pupitre.outbox'::regclass::oid as name,
    pg_current_snapshot() as now,
    case when split_part($1, '/', 2) ~ '^\d+:\d+:[\d,]*$'
      then split_part($1, '/', 2)::pg_snapshot end as seen
), news as (
  select o.xid, o.tags from place, pupitre.outbox o
  where o.xid >= pg_snapshot_xmin(place.seen) and not pg_visible_in_snapshot(o.xid, place.seen)
  order by o.xid limit 5001
)
select case when place.seen is not null and split_part($1, '/', 1) = place.name
      and pg_snapshot_xmax(place.now) >= pg_snapshot_xmax(place.seen)
      and pg_snapshot_xmin(place.seen) > (select xid from pupitre.outbox_horizon)
      and (select count(*) from news) <= 5000
    then 'ok' else 'lost' end as outcome,
  place.name || '/' || place.now as body,
  array(select tag from news, unnest(array['@' || news.xid] || news.tags) with ordinality
    as t(tag, i) order by news.xid, i) as tags
from place
