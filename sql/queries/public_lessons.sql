-- $1 limit, $2 page, $3 search
-- Without a search the list is walked in its order.  A search goes by trigrams
-- where it has three letters in a row, which make one; a shorter one reads the
-- names, for which an index of trigrams would be read from end to end.
with hit as (
  select "createdAt", id from "Lesson"
  where $3::text ~ '[[:alnum:]]{3}' and state = 'PUBLIC' and name ilike pupitre.containing($3)
  union all
  select "createdAt", id from "Lesson"
  where $3 <> '' and $3 !~ '[[:alnum:]]{3}' and state = 'PUBLIC'
    and name || '' ilike pupitre.containing($3)
), page as (
  (select "createdAt", id from "Lesson" where $3 = '' and state = 'PUBLIC'
    order by "createdAt", id limit $1::int offset ($2::bigint - 1) * $1::int)
  union all
  (select "createdAt", id from hit
    order by "createdAt", id limit $1::int offset ($2::bigint - 1) * $1::int)
)
select pupitre.list('data', rows.text, case when $3 = ''
    then (select count(*) from "Lesson" where state = 'PUBLIC')
    else (select count(*) from hit) end, $2::int, $1::int) as body,
  array['lessons:public'] as tags
from (
  select string_agg(row_to_json(item)::text, ',' order by l."createdAt", l.id) as text
  from "Lesson" l, lateral (select l.id, l.name, l.state, l.content) item
  where l.id = any (array(select id from page))
) rows
