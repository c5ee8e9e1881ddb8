-- $1 courseId, $2 userId
select case when c."creatorId" = $2 or j.id is not null then 'ok'
    when c.state = 'PUBLISHED' then 'forbidden' end as body,
  array['course:' || $1, 'user:' || $2 || ':courses'] as tags
from (select) one
left join "Course" c on c.id = $1
left join "CourseOnUser" j
  on j."courseId" = c.id and j."userId" = $2 and j."canceledAt" is null
