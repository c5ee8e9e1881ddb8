-- $1 courseId, $2 lessonId
select '{"lesson":' || (select row_to_json(item)::text from (
    select l.id, l.name, l.state, l.content, l."courseId", l.rank,
      pupitre.iso(l."createdAt") as "createdAt"
  ) item) || '}' as body,
  array['lesson:' || l.id] as tags
from "Lesson" l
where l.id = $2 and l."courseId" = $1
union all
select null, array['lesson:' || $2]
where not exists (select from "Lesson" where id = $2 and "courseId" = $1)
