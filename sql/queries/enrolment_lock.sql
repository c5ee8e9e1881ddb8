-- $1 courseId
-- Holds the course against being deleted or renamed.
select coalesce(max('ok'), 'not_found') as outcome
from (select from "Course" where id = $1 for share) held
