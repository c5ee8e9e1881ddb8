-- $1 userId, $2 limit, $3 page, $4 search
select pupitre.list('data', rows.text, total.n, $3::int, $2::int) as body,
  array['courses:published', 'user:' || $1 || ':courses'] as tags
from (
  select count(*) as n from "Course"
  where state = 'PUBLISHED' and name ilike pupitre.containing($4)
) total, (
  select string_agg(row_to_json(item)::text, ',' order by page."createdAt", page.id) as text
  from (
    select "createdAt", image, id, name, presentation from "Course"
    where state = 'PUBLISHED' and name ilike pupitre.containing($4)
    order by "createdAt", id
    limit $2::int offset ($3::bigint - 1) * $2::int
  ) page, lateral (
    select page.image, page.id, page.name, page.presentation,
      exists (
        select from "CourseOnUser" j
        where j."userId" = $1 and j."courseId" = page.id and j."canceledAt" is null
      ) as "alreadyJoined"
  ) item
) rows
