-- $1 id, $2 courseId, $3 name, $4 content, $5 state
-- After course_lock in the same transaction: two at once get two ranks.
with made as (
  insert into "Lesson" (id, "courseId", name, content, state, rank)
  values ($1, $2, $3, $4, $5::text::"LessonState", (
    select coalesce(max(case when rank ~ '^\d{1,15}(\.\d{1,9})?$' then floor(rank::numeric) end), 0) + 1
    from "Lesson" where "courseId" = $2
  )::bigint::text)
  returning *
)
select 'created' as outcome,
  '{"message":"Lesson created","lesson":' || (select row_to_json(item)::text from (
    select id, name, rank, content, state, pupitre.iso("createdAt") as "createdAt",
      "courseId") item) || '}' as body,
  array['lesson:' || id, 'course:' || "courseId" || ':lessons']
    || case when state = 'PUBLIC' then array['lessons:public'] else '{}' end as tags
from made
