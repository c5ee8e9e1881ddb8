-- $1 id, $2 userId, $3 courseId
-- After enrolment_lock in the same transaction.  Joining twice changes nothing.
with course as (
  select id, name from "Course" where id = $3 and state = 'PUBLISHED'
), made as (
  insert into "CourseOnUser" (id, "userId", "courseId", "createdAt")
  select $1, $2, id, statement_timestamp() at time zone 'UTC' from course
  on conflict ("userId", "courseId") do update set "canceledAt" = null
    where "CourseOnUser"."canceledAt" is not null
)
select case when course.id is null then 'not_found' else 'ok' end as outcome,
  '{"success":true,"courseName":' || to_json(course.name) || '}' as body
from (select) one left join course on true
