-- $1 userId, $2 limit, $3 page, $4 search
-- For the ways of searching and walking see public_lessons.
with hit as (
  select "createdAt", id from "Course"
  where $4::text ~ '[[:alnum:]]{3}' and state = 'PUBLISHED' and name ilike pupitre.containing($4)
  union all
  select "createdAt", id from "Course"
  where $4 <> '' and $4 !~ '[[:alnum:]]{3}' and state = 'PUBLISHED'
    and name || '' ilike pupitre.containing($4)
), counted as materialized (
  select case when $4 = '' then (select count(*) from "Course" where state = 'PUBLISHED')
    else (select count(*) from hit) end as total
), place as (
  select total, skipped, shown, skipped <= total / 2 as forward
  from counted, (select ($3::bigint - 1) * $2::int as skipped, $2::int as shown) asked
), page as (
  (select "createdAt", id from "Course" where $4 = '' and state = 'PUBLISHED'
    order by "createdAt", id
    limit (select case when forward then shown else 0 end from place)
    offset (select skipped from place))
  union all
  (select "createdAt", id from "Course" where $4 = '' and state = 'PUBLISHED'
    order by "createdAt" desc, id desc
    limit (select case when forward then 0 else greatest(least(shown, total - skipped), 0) end
      from place)
    offset (select greatest(total - skipped - shown, 0) from place))
  union all
  (select "createdAt", id from hit
    order by "createdAt", id limit $2::int offset ($3::bigint - 1) * $2::int)
)
select pupitre.list('data', rows.text, total, $3::int, $2::int) as body,
  array['courses:published', 'user:' || $1 || ':courses'] as tags
from place, (
  select string_agg(row_to_json(item)::text, ',' order by c."createdAt", c.id) as text
  from "Course" c, lateral (
    select c.image, c.id, c.name, c.presentation,
      exists (
        select from "CourseOnUser" j
        where j."userId" = $1 and j."courseId" = c.id and j."canceledAt" is null
      ) as "alreadyJoined"
  ) item
  where c.id = any (array(select id from page))
) rows
