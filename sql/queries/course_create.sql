-- $1 id, $2 name, $3 image, $4 presentation, $5 state, $6 userId
with made as (
  insert into "Course" (id, name, image, presentation, state, "creatorId", "createdAt")
  values ($1, $2, $3, $4, $5::text::"CourseState", $6,
    statement_timestamp() at time zone 'UTC')
  returning *
)
select 'created' as outcome,
  '{"message":"Course created","course":' || (select row_to_json(item)::text from (
    select id, name, presentation, image, pupitre.iso("createdAt") as "createdAt",
      "creatorId", state) item) || '}' as body
from made
