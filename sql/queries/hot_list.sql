-- $1 how many at most
-- The keys that were read most, a line each, the most read first.
select string_agg(key, e'\n' order by reads desc, key) as body
from (select key, reads from pupitre.hot order by reads desc, key limit $1::int) hottest
