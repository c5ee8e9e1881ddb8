-- $1 id, $2 userId, $3 lessonId, $4 progress
-- Holds the lesson against being deleted meanwhile.
with lesson as (
  select l.id,
    exists (
      select from "CourseOnUser" j
      where j."userId" = $2 and j."courseId" = l."courseId" and j."canceledAt" is null
    ) as joined
  from "Lesson" l
  where l.id = $3 and l.state in ('PUBLIC', 'PUBLISHED')
  for key share
), made as (
  insert into "LessonOnUser" (id, "userId", "lessonId", progress, "createdAt")
  select $1, $2, id, $4::text::"Progress", statement_timestamp() at time zone 'UTC'
  from lesson where joined
  on conflict ("userId", "lessonId") do update set progress = excluded.progress
  returning progress
)
select case when lesson.id is null then 'not_found' when lesson.joined then 'ok'
    else 'forbidden' end as outcome,
  '{"success":true,"progress":"' || made.progress || '"}' as body
from (select) one left join lesson on true left join made on true
