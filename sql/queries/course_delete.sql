-- $1 courseId, $2 userId
-- After course_lock in the same transaction, so that no lesson and nobody is
-- added meanwhile.  Raises what goes with the course, too: lessons,
-- enrolments, progress.
with lessons as (
  select id, state from "Lesson" where "courseId" = $1
), people as (
  select 'user:' || "userId" || ':courses' as tag from "CourseOnUser" where "courseId" = $1
  union
  select 'user:' || p."userId" || ':progress'
  from lessons l join "LessonOnUser" p on p."lessonId" = l.id
), gone as (
  delete from "Course" where id = $1 and "creatorId" = $2 returning *
)
select case when gone.id is null then 'not_found' else 'ok' end as outcome,
  case when gone.id is not null then '{"success":true}' end as body,
  case when gone.id is null then '{}' else
    array['course:' || gone.id, 'course:' || gone.id || ':lessons',
      'course:' || gone.id || ':users', 'creator:' || gone."creatorId" || ':courses']
    || case when gone.state = 'PUBLISHED' then array['courses:published'] else '{}' end
    || case when exists (select from lessons where state = 'PUBLIC')
      then array['lessons:public'] else '{}' end
    || pupitre.few(array(select 'lesson:' || id from lessons limit 101), 'lesson')
    || pupitre.few(array(select tag from people limit 101), 'user')
  end as tags
from (select) one left join gone on true
