-- $1 courseId
-- Holds the course against being deleted, or changed under course_lock;
-- others may join and leave at the same moment.
select coalesce(max('ok'), 'not_found') as outcome
from (select from "Course" where id = $1 for key share) held
