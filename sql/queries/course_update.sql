-- $1 courseId, $2 userId, then what to change, or null:
-- $3 name, $4 image, $5 presentation, $6 state
-- After course_lock in the same transaction.
with made as (
  update "Course"
  set name = coalesce($3, name), image = coalesce($4, image),
    presentation = coalesce($5, presentation),
    state = coalesce($6::text::"CourseState", state)
  where id = $1 and "creatorId" = $2
  returning *
)
select case when made.id is null then 'not_found' else 'ok' end as outcome,
  '{"message":"Course updated","updated":true,"course":' || case when made.id is not null then (
    select row_to_json(item)::text from (
      select made.id, made.name, made.presentation, made.image,
        pupitre.iso(made."createdAt") as "createdAt", made."creatorId", made.state
    ) item) end || '}' as body
from (select) one left join made on true
