-- $1 lessonId
select '{"lesson":' || (select row_to_json(item)::text from (
    select l.id, l.name, l.content, l.rank, l."courseId", l.state) item) || '}' as body,
  array['lesson:' || l.id] as tags
from "Lesson" l
where l.id = $1 and l.state in ('PUBLIC', 'PUBLISHED')
union all
select null, array['lesson:' || $1]
where not exists (select from "Lesson" where id = $1 and state in ('PUBLIC', 'PUBLISHED'))
