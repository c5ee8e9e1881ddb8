-- $1 courseId, $2 userId
select case when c."creatorId" = $2 or j.id is not null then 'ok' else 'forbidden' end as body,
  array['course:' || c.id, 'user:' || $2 || ':courses'] as tags
from "Course" c
left join "CourseOnUser" j
  on j."courseId" = c.id and j."userId" = $2 and j."canceledAt" is null
where c.id = $1 and (c."creatorId" = $2 or j.id is not null or c.state = 'PUBLISHED')
