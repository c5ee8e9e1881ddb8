-- $1 courseId, $2 lessonId, $3 userId
-- After course_lock in the same transaction.
with students as (
  select "userId" from "LessonOnUser" where "lessonId" = $2
), gone as (
  delete from "Lesson" l using "Course" c
  where l.id = $2 and l."courseId" = $1 and c.id = l."courseId" and c."creatorId" = $3
  returning l.*
)
select case when gone.id is null then 'not_found' else 'ok' end as outcome,
  '{"success":true}' as body,
  array_remove(array['lesson:' || gone.id, 'course:' || gone."courseId" || ':lessons']
    || case when gone.state = 'PUBLIC' then array['lessons:public'] else '{}' end
    || pupitre.few((select array_agg('user:' || "userId" || ':progress') from students), 'user'), null) as tags
from (select) one left join gone on true
