-- $1 limit, $2 page, $3 search
-- Without a search the list is walked in its order, from the end that is
-- nearer.  A search goes by trigrams where it has three letters in a row, which
-- make one; a shorter one reads the names, for which an index of trigrams would
-- be read from end to end.
with hit as (
  select "createdAt", id from "Lesson"
  where $3::text ~ '[[:alnum:]]{3}' and state = 'PUBLIC' and name ilike pupitre.containing($3)
  union all
  select "createdAt", id from "Lesson"
  where $3 <> '' and $3 !~ '[[:alnum:]]{3}' and state = 'PUBLIC'
    and name || '' ilike pupitre.containing($3)
), counted as materialized (
  select case when $3 = '' then (select count(*) from "Lesson" where state = 'PUBLIC')
    else (select count(*) from hit) end as total
), place as (
  select total, skipped, shown, skipped <= total / 2 as forward
  from counted, (select ($2::bigint - 1) * $1::int as skipped, $1::int as shown) asked
), page as (
  (select "createdAt", id from "Lesson" where $3 = '' and state = 'PUBLIC'
    order by "createdAt", id
    limit (select case when forward then shown else 0 end from place)
    offset (select skipped from place))
  union all
  (select "createdAt", id from "Lesson" where $3 = '' and state = 'PUBLIC'
    order by "createdAt" desc, id desc
    limit (select case when forward then 0 else greatest(least(shown, total - skipped), 0) end
      from place)
    offset (select greatest(total - skipped - shown, 0) from place))
  union all
  (select "createdAt", id from hit
    order by "createdAt", id limit $1::int offset ($2::bigint - 1) * $1::int)
)
select pupitre.list('data', rows.text, total, $2::int, $1::int) as body,
  array['lessons:public'] as tags
from place, (
  select string_agg(row_to_json(item)::text, ',' order by l."createdAt", l.id) as text
  from "Lesson" l, lateral (select l.id, l.name, l.state, l.content) item
  where l.id = any (array(select id from page))
) rows
