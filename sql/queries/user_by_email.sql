-- $1 email; as it is stored, and if nobody has it so, without regard to case
select id as body from "User"
where lower(email) = lower($1)
order by email = $1 desc, "createdAt", id
limit 1
