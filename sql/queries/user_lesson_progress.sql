-- $1 lessonId, $2 userId
select '{"progress":"' || coalesce(p.progress, 'NOT_STARTED') || '"}' as body,
  array['lesson:' || l.id, 'user:' || $2 || ':progress'] as tags
from "Lesson" l
left join "LessonOnUser" p on p."lessonId" = l.id and p."userId" = $2
where l.id = $1 and l.state in ('PUBLIC', 'PUBLISHED')
union all
select null, array['lesson:' || $1]
where not exists (select from "Lesson" where id = $1 and state in ('PUBLIC', 'PUBLISHED'))
