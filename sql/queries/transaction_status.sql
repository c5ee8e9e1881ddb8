-- $1 the number of a transaction, $2 the process that ran it, or null
-- What has become of it: committed, aborted, in progress, or unknown.  A
-- process that still holds it is ended, so that it comes to a decision.
select case when $1::xid8 < pg_snapshot_xmax(pg_current_snapshot())
    then coalesce(pg_xact_status($1::xid8), 'unknown') else 'unknown' end as body,
  (select pg_terminate_backend(pid)::text from pg_stat_activity
    where pid = $2::int and backend_xid = $1::xid8::xid) as ended
