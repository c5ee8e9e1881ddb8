-- $1 the number of a transaction, $2 when its row in the outbox was made, as
-- text, $3 the process that ran it, or null
-- What has become of it: its row is there, or it has ended and the row is not.
-- (pg_xact_status alone may speak of another: after a crash the same number may
-- be given once more.)  A process that still holds it is ended, so that it
-- comes to a decision.
select case
    when exists (
      select from pupitre.outbox o where o.xid = $1::xid8 and o.made_at::text = $2
    ) then 'committed'
    when $1::xid8 < pg_snapshot_xmax(pg_current_snapshot())
      and pg_visible_in_snapshot($1::xid8, pg_current_snapshot()) then 'aborted'
    else 'in progress' end as body,
  (select pg_terminate_backend(pid)::text from pg_stat_activity
    where pid = $3::int and backend_xid = $1::xid8::xid) as ended
