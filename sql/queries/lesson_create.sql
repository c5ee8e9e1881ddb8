-- $1 id, $2 courseId, $3 name, $4 content, $5 state
-- After course_lock in the same transaction: two at once get two ranks, and
-- times in the same order.  A rank that is not a number is passed over.
with made as (
  insert into "Lesson" (id, "courseId", name, content, state, "createdAt", rank)
  select $1, $2, $3, $4, $5::text::"LessonState", statement_timestamp() at time zone 'UTC',
    (coalesce(max(floor(case when rank ~ '^-?[0-9]{1,100}(\.[0-9]{1,100})?$'
      then rank::numeric end)), 0) + 1)::text
  from "Lesson" where "courseId" = $2
  returning *
)
select 'created' as outcome,
  '{"message":"Lesson created","lesson":' || (select row_to_json(item)::text from (
    select id, name, rank, content, state, pupitre.iso("createdAt") as "createdAt",
      "courseId") item) || '}' as body
from made
