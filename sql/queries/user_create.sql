-- $1 id, $2 email, $3 name or null, $4 role
with made as (
  insert into "User" (id, email, name, role, "updatedAt")
  values ($1, $2, $3, $4::text::"Role", now() at time zone 'UTC')
  on conflict (email) do nothing
  returning id
)
select case when made.id is null then 'conflict' else 'created' end as outcome,
  made.id as body, array['user:' || $1] as tags
from (select) one left join made on true
