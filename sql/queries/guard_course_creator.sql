-- $1 courseId, $2 userId
select 'ok' as body, array['course:' || c.id] as tags
from "Course" c
where c.id = $1 and c."creatorId" = $2
union all
select null, array['course:' || $1]
where not exists (select from "Course" where id = $1 and "creatorId" = $2)
