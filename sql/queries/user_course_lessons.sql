-- $1 courseId, $2 userId, $3 limit, $4 page, $5 search
select pupitre.list('data', rows.text, total.n, $4::int, $3::int) as body,
  array['course:' || c.id, 'course:' || c.id || ':lessons', 'user:' || $2 || ':progress'] as tags
from "Course" c, lateral (
  select count(*) as n from "Lesson" l
  where l."courseId" = c.id and l.state in ('PUBLIC', 'PUBLISHED')
    and l.name ilike pupitre.containing($5)
) total, lateral (
  select string_agg(row_to_json(item)::text, ',' order by page."createdAt", page.id) as text
  from (
    select l."createdAt", l.id, l.name, l.rank from "Lesson" l
    where l."courseId" = c.id and l.state in ('PUBLIC', 'PUBLISHED')
      and l.name ilike pupitre.containing($5)
    order by l."createdAt", l.id
    limit $3::int offset ($4::bigint - 1) * $3::int
  ) page
  left join "LessonOnUser" p on p."userId" = $2 and p."lessonId" = page.id,
  lateral (
    select page.id, page.name, page.rank,
      case when p.id is null then '[]'::json
        else ('[{"progress":"' || p.progress || '"}]')::json end as users,
      coalesce(p.progress, 'NOT_STARTED') as progress
  ) item
) rows
where c.id = $1 and c.state = 'PUBLISHED'
union all
select null, array['course:' || $1]
where not exists (select from "Course" where id = $1 and state = 'PUBLISHED')
