-- $1 courseId
select '{"course":' || (select row_to_json(item)::text from (
    select c.id, c.name, c.presentation, c.image, pupitre.iso(c."createdAt") as "createdAt",
      c.state,
      (select count(*) from "CourseOnUser" j
        where j."courseId" = c.id and j."canceledAt" is null) as "totalUsers"
  ) item) || '}' as body,
  array['course:' || c.id, 'course:' || c.id || ':users'] as tags
from "Course" c
where c.id = $1
union all
select null, array['course:' || $1]
where not exists (select from "Course" where id = $1)
