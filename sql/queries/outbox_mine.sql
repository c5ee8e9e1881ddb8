-- No parameters.
-- What this transaction has changed so far, by its tags; the number that it goes
-- by outside; its own number, when its row was made, and the process that runs
-- it.  No row: it has changed nothing that anybody is shown.
select pupitre.outbox_id(xid, made_at)::text as body, tags, xid::text as xid,
  made_at::text as made, pg_backend_pid()::text as pid
from pupitre.outbox
where xid = pg_current_xact_id_if_assigned()
