-- $1 email; as it is stored, and if nobody has it so, without regard to case
select u.id as body, p.hash,
  (select row_to_json(item) from (
    select u.id, u.name, u.email, u.image, u.role) item)::text as "user"
from "User" u left join pupitre.credential p on p.user_id = u.id
where lower(u.email) = lower($1)
order by u.email = $1 desc, u."createdAt", u.id
limit 1
