-- $1 the token as it is stored
with gone as (
  delete from sessions where session_token = $1 returning id
)
select 'ok' as outcome, '{"success":true}' as body from (select count(*) from gone) done
