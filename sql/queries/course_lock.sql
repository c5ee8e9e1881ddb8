-- $1 courseId, $2 userId
-- Holds the course against every other change of it or of its lessons.
select coalesce(max('ok'), 'not_found') as outcome
from (
  select from "Course" where id = $1 and "creatorId" = $2 for update
) held
