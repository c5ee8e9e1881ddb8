-- $1 lessonId, $2 userId
select case when l.state = 'PUBLIC' or j.id is not null then 'ok' else 'forbidden' end as body,
  array['lesson:' || l.id, 'user:' || $2 || ':courses'] as tags
from "Lesson" l
left join "CourseOnUser" j
  on j."courseId" = l."courseId" and j."userId" = $2 and j."canceledAt" is null
where l.id = $1 and l.state in ('PUBLIC', 'PUBLISHED')
union all
select null, array['lesson:' || $1]
where not exists (select from "Lesson" where id = $1 and state in ('PUBLIC', 'PUBLISHED'))
