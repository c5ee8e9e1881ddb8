-- $1 courseId, $2 limit, $3 page, $4 search
-- The order and the search go by the names of all who are in the course, so
-- this depends on :names beside the users it shows.
with joined as (
  select j.id, j."userId", j."courseId", j."createdAt", j."canceledAt",
    u.name, u.image
  from "CourseOnUser" j join "User" u on u.id = j."userId"
  where j."courseId" = $1 and ($4 = '' or u.name ilike pupitre.containing($4))
), page as (
  select * from joined order by name, id limit $2::int offset ($3::bigint - 1) * $2::int
)
select pupitre.list('users', rows.text, total.n, $3::int, $2::int) as body,
  array['course:' || c.id, 'course:' || c.id || ':users', 'course:' || c.id || ':names']
    || rows.tags as tags
from "Course" c, (select count(*) as n from joined) total, (
  select string_agg(row_to_json(item)::text, ',' order by page.name, page.id) as text,
    coalesce(array_agg('user:' || page."userId"), '{}') as tags
  from page, lateral (
    select page.id, page."userId", page."courseId",
      pupitre.iso(page."createdAt") as "createdAt",
      pupitre.iso(page."canceledAt") as "canceledAt",
      (select row_to_json(person) from (
        select page."userId" as id, page.name, page.image) person) as "user"
  ) item
) rows
where c.id = $1
union all
select null, array['course:' || $1]
where not exists (select from "Course" where id = $1)
