-- $1 id, $2 userId, $3 the token as it is stored, $4 expires, in ms since 1970
-- Takes some of this user's dead sessions away.
with dead as (
  delete from sessions where id in (
    select id from sessions
    where user_id = $2 and expires < now() at time zone 'UTC'
    limit 100 for update skip locked
  )
)
insert into sessions (id, user_id, session_token, expires, created_at)
values ($1, $2, $3, to_timestamp($4::bigint / 1000.0) at time zone 'UTC',
  statement_timestamp() at time zone 'UTC')
returning 'created' as outcome, '{"success":true}' as body
