-- $1 id, $2 email, $3 name or null, $4 role
-- An address that differs from somebody's in case alone is his.
with made as (
  insert into "User" (id, email, name, role, "createdAt", "updatedAt")
  select $1, $2, $3, $4::text::"Role", moment, moment
  from (select statement_timestamp() at time zone 'UTC' as moment) clock
  where not exists (select from "User" where lower(email) = lower($2))
  on conflict (email) do nothing
  returning id
)
select case when made.id is null then 'conflict' else 'created' end as outcome,
  made.id as body
from (select) one left join made on true
