-- $1 courseId, $2 userId
-- After course_lock in the same transaction, so that no lesson and nobody is
-- added meanwhile.  Lessons, enrolments and progress go with it.
with gone as (
  delete from "Course" where id = $1 and "creatorId" = $2 returning id
)
select case when gone.id is null then 'not_found' else 'ok' end as outcome,
  case when gone.id is not null then '{"success":true}' end as body
from (select) one left join gone on true
