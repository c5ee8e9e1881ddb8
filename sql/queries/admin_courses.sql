-- $1 adminId, $2 limit, $3 page, $4 search
select pupitre.list('data', rows.text, total.n, $3::int, $2::int) as body,
  array['creator:' || $1 || ':courses'] as tags
from (
  select case when $4 = '' then (
      select count(*) from "Course" where "creatorId" = $1
    ) else (
      select count(*) from "Course"
      where "creatorId" = $1 and name ilike pupitre.containing($4)
    ) end as n
) total, (
  select string_agg(row_to_json(item)::text, ',' order by page."createdAt", page.id) as text
  from (
    select "createdAt", id, name, image, presentation from "Course"
    where "creatorId" = $1 and ($4 = '' or name ilike pupitre.containing($4))
    order by "createdAt", id
    limit $2::int offset ($3::bigint - 1) * $2::int
  ) page, lateral (select page.id, page.name, page.image, page.presentation) item
) rows
