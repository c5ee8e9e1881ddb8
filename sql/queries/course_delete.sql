-- $1 courseId, $2 userId
-- After course_lock in the same transaction, so that no lesson and no
-- participant is added meanwhile.
with learners as (
  select "userId" from "CourseOnUser" where "courseId" = $1
), lessons as (
  select id, state from "Lesson" where "courseId" = $1
), students as (
  select distinct p."userId" from "LessonOnUser" p join lessons l on l.id = p."lessonId"
), gone as (
  delete from "Course" where id = $1 and "creatorId" = $2 returning *
)
select 'ok' as outcome, '{"success":true}' as body,
  array['course:' || gone.id, 'course:' || gone.id || ':lessons',
    'course:' || gone.id || ':users', 'creator:' || gone."creatorId" || ':courses']
    || case when gone.state = 'PUBLISHED' then array['courses:published'] else '{}' end
    || case when exists (select from lessons where state = 'PUBLIC')
      then array['lessons:public'] else '{}' end
    || pupitre.few((select array_agg('lesson:' || id) from lessons), 'lesson')
    || pupitre.few((select array_agg('user:' || "userId" || ':courses') from learners), 'user')
    || pupitre.few((select array_agg('user:' || "userId" || ':progress') from students), 'user')
    as tags
from gone
