-- No parameters.
-- What this transaction has changed so far, by its tags; its number, and the
-- process that runs it.
select pg_current_xact_id()::text as body, pg_backend_pid()::text as pid,
  coalesce((select o.tags from pupitre.outbox o where o.xid = pg_current_xact_id()), '{}') as tags
