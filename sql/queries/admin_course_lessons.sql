-- $1 courseId, $2 limit, $3 page, $4 search
select pupitre.list('data', rows.text, total.n, $3::int, $2::int) as body,
  array['course:' || c.id, 'course:' || c.id || ':lessons'] as tags
from "Course" c, lateral (
  select count(*) as n from "Lesson" l
  where l."courseId" = c.id and l.name ilike pupitre.containing($4)
) total, lateral (
  select string_agg(row_to_json(item)::text, ',' order by page."createdAt", page.id) as text
  from (
    select l.* from "Lesson" l
    where l."courseId" = c.id and l.name ilike pupitre.containing($4)
    order by l."createdAt", l.id
    limit $2::int offset ($3::bigint - 1) * $2::int
  ) page, lateral (
    select page.id, page.name, page.rank, page.content, page.state,
      pupitre.iso(page."createdAt") as "createdAt"
  ) item
) rows
where c.id = $1
union all
select null, array['course:' || $1]
where not exists (select from "Course" where id = $1)
