-- $1 userId, $2 courseId
-- After enrolment_lock in the same transaction.  Leaving twice changes nothing.
with gone as (
  delete from "CourseOnUser" where "userId" = $1 and "courseId" = $2 returning "courseId"
), course as (
  select id, name from "Course"
  where id = $2 and (state = 'PUBLISHED' or exists (select from gone))
)
select case when course.id is null then 'not_found' else 'ok' end as outcome,
  '{"success":true,"courseName":' || to_json(course.name) || '}' as body
from (select) one left join course on true
