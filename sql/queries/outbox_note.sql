-- $1 a tag
-- Everybody is to forget what depends on it.
select 'ok' as outcome, pupitre.note(array[$1])::text as body
