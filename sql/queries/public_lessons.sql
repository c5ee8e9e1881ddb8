-- $1 limit, $2 page, $3 search
select pupitre.list('data', rows.text, total.n, $2::int, $1::int) as body,
  array['lessons:public'] as tags
from (
  select count(*) as n from "Lesson"
  where state = 'PUBLIC' and name ilike pupitre.containing($3)
) total, (
  select string_agg(row_to_json(item)::text, ',' order by "createdAt", sort_id) as text
  from (
    select "createdAt", id as sort_id, id, name, state, content from "Lesson"
    where state = 'PUBLIC' and name ilike pupitre.containing($3)
    order by "createdAt", id
    limit $1::int offset ($2::bigint - 1) * $1::int
  ) page, lateral (select page.id, page.name, page.state, page.content) item
) rows
