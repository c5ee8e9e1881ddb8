-- $1 courseId, $2 lessonId, $3 userId
-- After course_lock in the same transaction.  Progress goes with the lesson.
with gone as (
  delete from "Lesson" l using "Course" c
  where l.id = $2 and l."courseId" = $1 and c.id = l."courseId" and c."creatorId" = $3
  returning l.id
)
select case when gone.id is null then 'not_found' else 'ok' end as outcome,
  case when gone.id is not null then '{"success":true}' end as body
from (select) one left join gone on true
