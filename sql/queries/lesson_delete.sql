-- $1 courseId, $2 lessonId, $3 userId
-- After course_lock in the same transaction.  Raises the progress that goes
-- with the lesson, too.
with students as (
  select "userId" from "LessonOnUser" where "lessonId" = $2
), gone as (
  delete from "Lesson" l using "Course" c
  where l.id = $2 and l."courseId" = $1 and c.id = l."courseId" and c."creatorId" = $3
  returning l.*
)
select case when gone.id is null then 'not_found' else 'ok' end as outcome,
  case when gone.id is not null then '{"success":true}' end as body,
  case when gone.id is null then '{}' else
    array['lesson:' || gone.id, 'course:' || gone."courseId" || ':lessons']
    || case when gone.state = 'PUBLIC' then array['lessons:public'] else '{}' end
    || pupitre.few(
      array(select 'user:' || "userId" || ':progress' from students limit 101), 'user')
  end as tags
from (select) one left join gone on true
