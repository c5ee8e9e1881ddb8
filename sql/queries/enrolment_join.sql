-- $1 id, $2 userId, $3 courseId
-- After enrolment_lock in the same transaction.  Joining twice changes nothing.
with course as (
  select id, name from "Course" where id = $3 and state = 'PUBLISHED'
), made as (
  insert into "CourseOnUser" (id, "userId", "courseId")
  select $1, $2, id from course
  on conflict ("userId", "courseId") do update set "canceledAt" = null
  returning "courseId"
)
select case when course.id is null then 'not_found' else 'ok' end as outcome,
  '{"success":true,"courseName":' || to_json(course.name) || '}' as body,
  array_remove(array['user:' || $2 || ':courses', 'course:' || course.id || ':users'], null) as tags
from (select) one left join course on true left join made on true
