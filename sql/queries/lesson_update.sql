-- $1 courseId, $2 lessonId, $3 userId, then what to change, or null:
-- $4 name, $5 content, $6 state, $7 rank
-- After course_lock in the same transaction.
with made as (
  update "Lesson" l
  set name = coalesce($4, l.name), content = coalesce($5, l.content),
    state = coalesce($6::text::"LessonState", l.state), rank = coalesce($7, l.rank)
  from "Course" c
  where l.id = $2 and l."courseId" = $1 and c.id = l."courseId" and c."creatorId" = $3
  returning l.*
)
select case when made.id is null then 'not_found' else 'ok' end as outcome,
  '{"message":"Lesson updated","updated":true,"lesson":' || case when made.id is not null then (
    select row_to_json(item)::text from (
      select made.id, made.name, made.rank, made.content, made.state,
        pupitre.iso(made."createdAt") as "createdAt", made."courseId"
    ) item) end || '}' as body
from (select) one left join made on true
