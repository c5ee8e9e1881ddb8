"""What the statements answer, what they raise, and how they meet."""
import json
from itertools import count

import psycopg2
import pytest

from database import QUERIES, read

STUDENT, ADMIN, ADMIN_2 = "demo-student", "demo-admin", "demo-admin-2"
COURSE, LESSON = "demo-course-1", "demo-lesson-1-2"
DRAFT = "demo-course-6"
numbers = count(1)


@pytest.fixture(scope="module")
def session(school):
    return school.session()


@pytest.fixture
def s(session):
    """A session whose changes are forgotten."""
    session.sql("begin")
    yield session
    session.sql("rollback")


def fresh(kind="id"):
    return f"{kind}-{next(numbers)}"


def body(row):
    return json.loads(row["body"])


def raised(s):
    """What this transaction has changed so far, as the triggers say."""
    row = s.run("outbox_mine")
    return set(row["tags"]) if row else set()


def is_absent(row):
    """Nothing is there, and that may be remembered until a tag is raised."""
    return row["body"] is None and row["tags"]


def new_course(s, state="PUBLISHED", creator=ADMIN, name="Course"):
    course = fresh("course")
    row = s.run("course_create", course, name, "https://i.example/", "About", state, creator)
    assert row["outcome"] == "created"
    return course


def new_lesson(s, course, state="PUBLISHED", name="Lesson"):
    lesson = fresh("lesson")
    row = s.run("lesson_create", lesson, course, name, "Text", state)
    assert row["outcome"] == "created"
    return lesson


# ---- the files

@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_file_says_its_parameters_and_holds_one_statement(name):
    text = read(QUERIES[name])
    assert text.startswith(("-- $1 ", "-- No parameters."))
    assert ";" not in "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    assert max(map(len, text.splitlines())) <= 100


def test_migrations_and_demo_may_run_twice(empty):
    empty.migrate().migrate().demo(7)
    s = empty.session()
    before = s.sql('select md5(string_agg(l::text, \'\' order by id)) from "Lesson" l')
    empty.demo(7)
    assert s.sql('select md5(string_agg(l::text, \'\' order by id)) from "Lesson" l') == before
    empty.demo(9)
    assert s.sql('select count(*) from "Course"') == [(9,)]


def test_migrations_work_for_a_role_that_may_not_have_the_extension(empty):
    owner = empty.session()
    role = f"limited_{empty.name}"
    owner.sql(f"create role {role} login; grant create, usage on schema public to {role};"
              f"create schema pupitre authorization {role}")
    try:
        limited = empty.session(user=role)
        empty.migrate(limited)
        assert limited.sql("select count(*) from pg_extension where extname = 'pg_trgm'") == [(0,)]
        limited.sql('insert into "User" (id, "updatedAt") values (%s, now())', "u")
        new_lesson(limited, new_course(limited, creator="u"), "PUBLIC", "Findable")
        assert body(limited.run("public_lessons", 5, 1, "FINDA"))["total"] == 1
        limited.close()
    finally:
        owner.sql(f"drop owned by {role} cascade; drop role {role}")


def test_demo_names_and_texts_are_within_the_rules(empty):
    s = empty.migrate().demo(600).session()
    assert s.sql("""select min(length(name)) >= 3, max(length(name)) <= 40,
      min(length(presentation)) >= 1, max(length(presentation)) <= 300,
      count(distinct name) = count(*), max("createdAt") < now() from "Course" """) \
        == [(True,) * 6]
    assert s.sql("""select min(length(name)) >= 3, max(length(name)) <= 40,
      max(octet_length(content)) < 60000 from "Lesson" """) == [(True,) * 3]
    assert s.sql("""select count(*) from (select array_agg(rank::int order by rank::int) as ranks
      from "Lesson" group by "courseId") r
      where ranks <> array(select generate_series(1, cardinality(ranks)))""") == [(0,)]


# ---- lists

LISTS = {
    "public_lessons": lambda limit, page, search: (limit, page, search),
    "user_courses": lambda *p: (STUDENT, *p),
    "user_course_lessons": lambda *p: (COURSE, STUDENT, *p),
    "user_course_participants": lambda *p: (COURSE, *p),
    "admin_courses": lambda *p: (ADMIN, *p),
    "admin_course_lessons": lambda *p: (COURSE, *p),
    "admin_course_participants": lambda *p: (COURSE, *p),
}


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("name", sorted(LISTS))
def test_pages_of_a_list_are_the_list(s, name, plans):
    s.sql(f"set plan_cache_mode = {plans}")
    key = "users" if "participants" in name else "data"

    def ask(limit, page, search=""):
        row = s.run(name, *LISTS[name](limit, page, search))
        assert row["body"].startswith('{"%s":[' % key)
        assert list(body(row)) == [key, "total", "page", "limit", "totalPages"]
        return body(row)

    whole = ask(100, 1)
    n = whole["total"]
    assert len(whole[key]) == n > 3
    assert len({item["id"] for item in whole[key]}) == n
    paged = [item for page in range(1, -(-n // 2) + 1) for item in ask(2, page)[key]]
    assert paged == whole[key]
    assert ask(2, 1)["totalPages"] == -(-n // 2)
    assert ask(100, 1000000) == {key: [], "total": n, "page": 1000000, "limit": 100,
                                 "totalPages": -(-n // 100)}
    assert ask(5, 1, "no such thing") == {key: [], "total": 0, "page": 1, "limit": 5,
                                          "totalPages": 0}


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_search_is_a_contains_without_wildcards(s, name, plans):
    s.sql(f"set plan_cache_mode = {plans}")
    key = "users" if "participants" in name else "data"
    table, where = {
        "public_lessons": ("Lesson", "where state = 'PUBLIC'"),
        "user_courses": ("Course", "where state = 'PUBLISHED'"),
        "user_course_lessons": ("Lesson", f"where \"courseId\" = '{COURSE}' and state <> 'HIDDEN'"),
        "admin_courses": ("Course", f"where \"creatorId\" = '{ADMIN}'"),
        "admin_course_lessons": ("Lesson", f"where \"courseId\" = '{COURSE}'"),
    }.get(name, ("User", f"""where id in (
      select "userId" from "CourseOnUser" where "courseId" = '{COURSE}')"""))
    odd = 'Per%cent_Under\\Slash "quoted"'
    s.sql(f'update "{table}" set name = %s where id = (select min(id) from "{table}" {where})', odd)
    names = [r[0] for r in s.sql(f'select name from "{table}" {where}')]
    for search in ("a", "AN", "per", "%", "_", "\\", "r%c", "t_u", "r\\s", "%%%", "___", "\\\\",
                   'SLASH "Q', "cent_under\\slash", "e s", "x_y"):
        found = body(s.run(name, *LISTS[name](100, 1, search)))
        want = sum(search.lower() in n.lower() for n in names)
        assert (found["total"], len(found[key])) == (want, want), search


def test_lists_are_ordered_by_time_and_then_by_id(s):
    course = new_course(s)
    for lesson in ("z-late", "b-same", "a-same"):
        s.run("lesson_create", lesson, course, "Lesson", "Text", "PUBLIC")
    s.sql('update "Lesson" set "createdAt" = %s where "courseId" = %s', "2001-01-01", course)
    s.sql('update "Lesson" set "createdAt" = %s where id = %s', "2001-01-02", "z-late")
    want = ["a-same", "b-same", "z-late"]
    for row in (s.run("public_lessons", 3, 1, ""), s.run("public_lessons", 3, 1, "lesson"),
                s.run("admin_course_lessons", course, 5, 1, ""),
                s.run("user_course_lessons", course, STUDENT, 5, 1, "")):
        assert [item["id"] for item in body(row)["data"]] == want


def test_an_empty_course_has_empty_lists_and_no_course_has_none(s):
    course = new_course(s)
    empty = {"total": 0, "page": 1, "limit": 5, "totalPages": 0}
    assert body(s.run("admin_course_lessons", course, 5, 1, "")) == {"data": [], **empty}
    assert body(s.run("user_course_lessons", course, STUDENT, 5, 1, "")) == {"data": [], **empty}
    assert body(s.run("user_course_participants", course, 5, 1, "")) == {"users": [], **empty}
    assert body(s.run("admin_course_participants", course, 5, 1, "")) == {"users": [], **empty}
    for name in ("admin_course_lessons", "user_course_participants", "admin_course_participants"):
        assert is_absent(s.run(name, "nobody's", 5, 1, ""))
    assert is_absent(s.run("user_course_lessons", "nobody's", STUDENT, 5, 1, ""))
    assert is_absent(s.run("user_course_lessons", DRAFT, STUDENT, 5, 1, ""))


# ---- single bodies

def test_bodies_are_compact_and_in_the_contracts_order(s):
    course = new_course(s, name='Say "é"\n')
    lesson = new_lesson(s, course, "PUBLIC")
    s.sql('update "Course" set "createdAt" = %s where id = %s', "2025-08-10 09:30", course)
    s.sql('update "Lesson" set "createdAt" = %s where id = %s', "2025-08-10 09:30:00.07", lesson)
    name = '"name":"Say \\"é\\"\\n"'
    course_text = f'"id":"{course}",{name},"presentation":"About","image":"https://i.example/"'
    assert s.run("user_course", course)["body"] == '{"course":{%s,"totalUsers":0}}' % course_text
    assert s.run("admin_course", course)["body"] == (
        '{"course":{%s,"createdAt":"2025-08-10T09:30:00.000Z","state":"PUBLISHED",'
        '"totalUsers":0}}' % course_text)
    assert s.run("user_lesson", lesson)["body"] == (
        f'{{"lesson":{{"id":"{lesson}","name":"Lesson","content":"Text","rank":"1",'
        f'"courseId":"{course}","state":"PUBLIC"}}}}')
    assert s.run("admin_course_lesson", course, lesson)["body"] == (
        f'{{"lesson":{{"id":"{lesson}","name":"Lesson","state":"PUBLIC","content":"Text",'
        f'"courseId":"{course}","rank":"1","createdAt":"2025-08-10T09:30:00.070Z"}}}}')
    assert s.run("course_update", course, ADMIN, None, None, None, None)["body"] == (
        '{"message":"Course updated","updated":true,"course":{%s,'
        '"createdAt":"2025-08-10T09:30:00.000Z","creatorId":"demo-admin","state":"PUBLISHED"}}'
        % course_text)
    assert s.run("lesson_update", course, lesson, ADMIN, "New", None, None, "7")["body"] == (
        f'{{"message":"Lesson updated","updated":true,"lesson":{{"id":"{lesson}","name":"New",'
        f'"rank":"7","content":"Text","state":"PUBLIC","createdAt":"2025-08-10T09:30:00.070Z",'
        f'"courseId":"{course}"}}}}')


def test_who_left_by_canceling_has_not_joined_but_is_listed(s):
    course = new_course(s)
    s.run("enrolment_join", fresh(), STUDENT, course)
    s.sql('update "CourseOnUser" set "canceledAt" = now() where "courseId" = %s', course)
    assert body(s.run("user_course", course))["course"]["totalUsers"] == 0
    assert s.run("guard_course_member", course, STUDENT)["body"] == "forbidden"
    participants = body(s.run("user_course_participants", course, 5, 1, ""))
    assert participants["users"][0]["canceledAt"].endswith("Z")
    assert "email" not in participants["users"][0]["user"]
    s.run("enrolment_join", fresh(), STUDENT, course)
    assert body(s.run("admin_course", course))["course"]["totalUsers"] == 1
    listed = body(s.run("admin_course_participants", course, 5, 1, ""))["users"]
    assert [u["canceledAt"] for u in listed] == [None]
    assert listed[0]["user"]["email"] == "student@example.org"


def test_guards(s):
    course, draft = new_course(s), new_course(s, "DRAFT")
    lessons = {state: new_lesson(s, course, state) for state in ("HIDDEN", "PUBLISHED", "PUBLIC")}

    def said(name, *params):
        row = s.run(name, *params)
        return row and row["body"]

    assert said("guard_course_creator", course, ADMIN) == "ok"
    assert said("guard_course_creator", course, ADMIN_2) is None
    assert said("guard_course_member", course, ADMIN) == "ok"
    assert said("guard_course_member", course, STUDENT) == "forbidden"
    assert said("guard_course_member", draft, STUDENT) is None
    assert said("guard_course_member", draft, ADMIN) == "ok"
    assert said("guard_lesson_reader", lessons["HIDDEN"], STUDENT) is None
    assert said("guard_lesson_reader", lessons["PUBLISHED"], STUDENT) == "forbidden"
    assert said("guard_lesson_reader", lessons["PUBLIC"], STUDENT) == "ok"
    assert is_absent(s.run("user_lesson", lessons["HIDDEN"]))
    assert is_absent(s.run("user_lesson_progress", lessons["HIDDEN"], STUDENT))
    s.run("enrolment_join", fresh(), STUDENT, course)
    assert said("guard_course_member", course, STUDENT) == "ok"
    assert said("guard_lesson_reader", lessons["PUBLISHED"], STUDENT) == "ok"
    assert said("guard_lesson_reader", lessons["HIDDEN"], STUDENT) is None


# ---- writes

def test_writes_on_what_is_not_there_or_not_his_are_not_found(s):
    for name, params in {
        "course_lock": (COURSE, ADMIN_2), "course_update": (COURSE, ADMIN_2, "N", None, None, None),
        "course_delete": (COURSE, ADMIN_2),
        "lesson_update": (COURSE, LESSON, ADMIN_2, "N", None, None, None),
        "lesson_delete": ("demo-course-2", LESSON, ADMIN),
        "enrolment_lock": ("none",), "enrolment_join": ("j", STUDENT, DRAFT),
        "enrolment_leave": (STUDENT, DRAFT), "progress_put": ("p", STUDENT, "none", "COMPLETED"),
    }.items():
        row = s.run(name, *params)
        assert row["outcome"] == "not_found", name
        assert not row.get("body"), name
    assert not raised(s)


def test_ranks_go_up_from_the_highest_number(s):
    course = new_course(s)

    def rank():
        lesson = fresh("lesson")
        return body(s.run("lesson_create", lesson, course, "L", "T", "HIDDEN"))["lesson"]["rank"]

    assert [rank(), rank()] == ["1", "2"]
    for odd, want in (("10", "11"), ("9", "12"), ("intro", "13"), ("", "14"), ("1e9", "15"),
                      ("20.5", "21"), ("٣٣", "22"), ("1" + 20 * "0", "1" + 19 * "0" + "1")):
        s.sql("""insert into "Lesson" (id, name, rank, content, "courseId")
          values (%s, 'L', %s, 'T', %s)""", fresh("lesson"), odd, course)
        assert rank() == want, odd


def test_joining_and_leaving_are_idempotent(s):
    course = new_course(s, name="Joinable")
    want = {"success": True, "courseName": "Joinable"}
    for name in ("enrolment_join", "enrolment_join", "enrolment_leave", "enrolment_leave"):
        params = (STUDENT, course) if name == "enrolment_leave" else (fresh(), STUDENT, course)
        row = s.run(name, *params)
        assert (row["outcome"], body(row)) == ("ok", want)
    s.run("enrolment_join", fresh(), STUDENT, course)
    s.run("course_update", course, ADMIN, None, None, None, "DRAFT")
    assert s.run("enrolment_join", fresh(), STUDENT, course)["outcome"] == "not_found"
    assert s.run("enrolment_leave", STUDENT, course)["outcome"] == "ok"
    assert s.run("enrolment_leave", STUDENT, course)["outcome"] == "not_found"


def test_progress_is_for_who_has_joined(s):
    course = new_course(s)
    lesson, hidden = new_lesson(s, course), new_lesson(s, course, "HIDDEN")
    row = s.run("progress_put", fresh(), STUDENT, lesson, "COMPLETED")
    assert (row["outcome"], row["body"]) == ("forbidden", None)
    s.run("enrolment_join", fresh(), STUDENT, course)
    assert s.run("progress_put", fresh(), STUDENT, hidden, "COMPLETED")["outcome"] == "not_found"
    for progress in ("IN_PROGRESS", "COMPLETED"):
        row = s.run("progress_put", fresh(), STUDENT, lesson, progress)
        assert (row["outcome"], row["body"]) == (
            "ok", '{"success":true,"progress":"%s"}' % progress)
        assert body(s.run("user_lesson_progress", lesson, STUDENT)) == {"progress": progress}


def test_times_are_utc_wherever_the_connection_lives(s):
    s.sql("set local timezone = 'Asia/Tokyo'")
    course = new_course(s)
    lesson = new_lesson(s, course)
    s.run("enrolment_join", fresh(), STUDENT, course)
    s.run("progress_put", fresh(), STUDENT, lesson, "COMPLETED")
    s.run("user_create", fresh(), "utc@example.org", None, "USER")
    s.run("session_create", fresh("session"), STUDENT, fresh("token"), 1900000000000)
    for table, column in (("Course", "createdAt"), ("Lesson", "createdAt"),
                          ("CourseOnUser", "createdAt"), ("LessonOnUser", "createdAt"),
                          ("User", "updatedAt"), ("sessions", "created_at")):
        assert s.sql(f"""select abs(extract(epoch from max("{column}")
          - (now() at time zone 'UTC'))) < 60 from "{table}" """) == [(True,)], table


def test_sessions(s):
    token = fresh("token")
    assert s.run("session_create", "s1", STUDENT, token, 1900000000123)["outcome"] == "created"
    row = s.run("session_find", token)
    assert row == {"body": f"{STUDENT}\tUSER\t1900000000123",
                   "tags": [f"user:{STUDENT}", "session:s1"]}
    s.sql("update sessions set expires = (now() at time zone 'UTC') - interval '1 s'"
          " where id = 's1'")
    assert s.run("session_find", token) is None
    s.run("session_create", "s2", STUDENT, token + "2", 1900000000000)
    assert s.sql("select id from sessions where user_id = %s", STUDENT) == [("s2",)]
    for _ in range(2):
        assert s.run("session_delete", token + "2")["outcome"] == "ok"
    assert raised(s) == {"session:s1", "session:s2"}


def test_accounts(s):
    row = s.run("user_create", "Ü1", "Mixed@Example.org", None, "ADMIN")
    assert (row["outcome"], row["body"]) == ("created", "Ü1")
    for email in ("Mixed@Example.org", "mixed@example.org"):
        row = s.run("user_create", fresh(), email, "Name", "USER")
        assert (row["outcome"], row["body"]) == ("conflict", None)
    assert s.run("user_by_email", "MIXED@example.org")["body"] == "Ü1"
    assert s.run("user_by_email", "nobody@example.org") is None
    assert s.run("credential_find", "nobody@example.org") is None
    assert s.run("credential_find", "mixed@example.org")["hash"] is None
    assert [s.run("credential_put", "Ü1", h)["outcome"] for h in ("one", "two")] == ["ok", "ok"]
    row = s.run("credential_find", "mixed@example.org")
    assert (row["body"], row["hash"]) == ("Ü1", "two")
    assert row["user"] == ('{"id":"Ü1","name":null,"email":"Mixed@Example.org","image":null,'
                           '"role":"ADMIN"}')
    s.sql('insert into "User" (id, email, "updatedAt") values (%s, %s, now())',
          "a", "mixed@example.org")
    assert s.run("user_by_email", "mixed@example.org")["body"] == "a"
    assert s.run("user_by_email", "Mixed@Example.org")["body"] == "Ü1"


# ---- tags

def all_reads():
    for course in (COURSE, "demo-course-3", DRAFT, "new-course"):
        yield "user_course", course
        yield "admin_course", course
        for user in (STUDENT, ADMIN, "demo-user-20"):
            yield "guard_course_creator", course, user
            yield "guard_course_member", course, user
            yield "user_course_lessons", course, user, 100, 1, ""
            yield "user_course_lessons", course, user, 2, 1, "e"
        for search in ("", "a"):
            yield "user_course_participants", course, 5, 1, search
            yield "admin_course_participants", course, 100, 1, search
            yield "admin_course_lessons", course, 100, 1, search
        for lesson in (1, 2, 3, 4):
            lesson = f"demo-lesson-{course.removeprefix('demo-course-')}-{lesson}"
            yield "admin_course_lesson", course, lesson
            yield "user_lesson", lesson
            for user in (STUDENT, "demo-user-20"):
                yield "guard_lesson_reader", lesson, user
                yield "user_lesson_progress", lesson, user
    for user in (STUDENT, ADMIN, ADMIN_2, "demo-user-20"):
        for search in ("", "e", "french"):
            yield "user_courses", user, 100, 1, search
            yield "admin_courses", user, 100, 1, search
        yield "auth_me", user
        yield "session_find", f"token-of-{user}"
    for search in ("", "ste", "x"):
        yield "public_lessons", 100, 1, search


WRITES = [
    ("course_create", "new-course", "French again", "https://i.example/", "P", "PUBLISHED", ADMIN),
    ("course_create", "new-course", "French again", "https://i.example/", "P", "DRAFT", ADMIN),
    ("course_update", COURSE, ADMIN, "Renamed", None, None, None),
    ("course_update", COURSE, ADMIN, None, "https://new.example/", "New", None),
    ("course_update", COURSE, ADMIN, None, None, None, "DRAFT"),
    ("course_update", DRAFT, ADMIN_2, None, None, None, "PUBLISHED"),
    ("course_delete", COURSE, ADMIN),
    ("course_delete", "demo-course-3", ADMIN_2),
    ("course_delete", DRAFT, ADMIN_2),
    ("lesson_create", "demo-lesson-1-99", COURSE, "Steps", "T", "PUBLIC"),
    ("lesson_create", "demo-lesson-1-99", COURSE, "Steps", "T", "HIDDEN"),
    ("lesson_update", COURSE, "demo-lesson-1-1", ADMIN, "Steps", None, None, None),
    ("lesson_update", COURSE, "demo-lesson-1-1", ADMIN, None, "New text", None, None),
    ("lesson_update", COURSE, "demo-lesson-1-1", ADMIN, None, None, "HIDDEN", None),
    ("lesson_update", COURSE, "demo-lesson-1-2", ADMIN, None, None, "PUBLIC", None),
    ("lesson_update", COURSE, "demo-lesson-1-2", ADMIN, None, None, None, "77"),
    ("lesson_delete", COURSE, "demo-lesson-1-1", ADMIN),
    ("lesson_delete", COURSE, "demo-lesson-1-3", ADMIN),
    ("enrolment_join", "new-join", STUDENT, "demo-course-2"),
    ("enrolment_join", "new-join", ADMIN, COURSE),
    ("enrolment_leave", STUDENT, COURSE),
    ("enrolment_leave", STUDENT, "demo-course-3"),
    ("progress_put", "new-progress", STUDENT, "demo-lesson-1-2", "NOT_STARTED"),
    ("progress_put", "new-progress", STUDENT, "demo-lesson-1-3", "IN_PROGRESS"),
    ("session_delete", f"token-of-{STUDENT}"),
]


def everything(s):
    return {call: row for call in all_reads() if (row := s.run(*call))}


def is_raised(tags, raised):
    return any(tag in raised or tag.split(":")[0] in raised for tag in tags)


# Made behind the app's back.
CHANGES = [
    f"update \"Course\" set name = 'French' where id = '{COURSE}'",
    f"update \"Course\" set \"creatorId\" = '{ADMIN_2}' where id = '{COURSE}'",
    f"update \"Course\" set id = 'new-course' where id = '{COURSE}'",
    f"update \"Course\" set state = 'PUBLISHED' where id = '{DRAFT}'",
    f"delete from \"Course\" where id = '{COURSE}'",
    "insert into \"Course\" (id, name, presentation, image, \"creatorId\", state)"
    f" values ('new-course', 'French', 'P', 'https://i.example/', '{ADMIN}', 'PUBLISHED')",
    f"update \"Lesson\" set \"courseId\" = 'demo-course-3' where id = '{LESSON}'",
    f"update \"Lesson\" set state = 'PUBLIC', content = 'x' where id = '{LESSON}'",
    f"update \"Lesson\" set id = 'demo-lesson-1-99' where id = '{LESSON}'",
    f"delete from \"Lesson\" where \"courseId\" = '{COURSE}'",
    f"update \"User\" set name = 'Aaron' where id = '{STUDENT}'",
    f"update \"User\" set role = 'ADMIN', email = 'new@example.org' where id = '{STUDENT}'",
    f"update \"User\" set id = 'new-user' where id = '{STUDENT}'",
    f"delete from \"User\" where id = '{STUDENT}'",
    f"delete from \"User\" where id = '{ADMIN}'",
    f"update \"CourseOnUser\" set \"canceledAt\" = now() where \"userId\" = '{STUDENT}'",
    f"delete from \"CourseOnUser\" where \"courseId\" = '{COURSE}'",
    f"update \"LessonOnUser\" set progress = 'COMPLETED' where \"userId\" = '{STUDENT}'",
    f"update sessions set expires = expires + interval '1 day' where user_id = '{STUDENT}'",
    f"delete from sessions where user_id = '{STUDENT}'",
    "insert into \"Lesson\" (id, name, rank, content, state, \"courseId\") values"
    f" ('demo-lesson-1-99', 'Steps', '9', 'T', 'PUBLIC', '{COURSE}')"
    f" on conflict (id) do update set name = excluded.name",
    f"update \"Course\" set name = name || '!' where id = '{COURSE}' returning id",
]

# ... and widely.
WIDE = [
    'truncate "Course" cascade', 'truncate "Lesson" cascade', 'truncate "LessonOnUser"',
    'truncate "CourseOnUser"', "truncate sessions", 'truncate "User" cascade',
    'update "Course" set name = name || \'!\'', 'update "Lesson" set content = \'all the same\'',
    'delete from "LessonOnUser"', 'update "User" set name = \'Everybody\'',
    'delete from "Course"',
]


def changed_and_missed(s, change):
    """(all reads before, those that changed, those without a raised tag)"""
    for user in (STUDENT, ADMIN, ADMIN_2, "demo-user-20"):
        s.run("session_create", f"s-{user}", user, f"token-of-{user}", 1900000000000)
    before = everything(s)
    change()
    tags = raised(s)
    after = everything(s)
    changed = [call for call, old in before.items()
               if after.get(call, {}).get("body") != old["body"]]
    missed = [call for call in changed if not is_raised(before[call]["tags"], tags)]
    assert not missed, f"{sorted(tags)} misses {missed}"
    untouched = [call for call in before
                 if call not in changed and not is_raised(before[call]["tags"], tags)]
    return before, changed, untouched


@pytest.mark.parametrize("write", WRITES, ids=lambda w: " ".join(map(str, w[:2])))
def test_what_a_write_changes_depends_on_a_tag_that_it_raises(s, write):
    def change():
        assert s.run(*write)["outcome"] in ("ok", "created")

    before, changed, untouched = changed_and_missed(s, change)
    # And most of what has not changed is left alone.
    assert len(untouched) > len(before) / 3
    assert changed or write[0] in ("course_create", "lesson_create")


@pytest.mark.parametrize("text", CHANGES, ids=lambda t: t[:40])
def test_a_change_behind_the_apps_back_raises_the_same(s, text):
    before, changed, untouched = changed_and_missed(s, lambda: s.sql(text))
    assert changed or text.startswith("update sessions")
    assert len(untouched) > len(before) / 5


@pytest.mark.parametrize("text", WIDE)
def test_wide_changes_raise_families(s, text):
    before, changed, _ = changed_and_missed(s, lambda: s.sql(text))
    assert len(raised(s)) < 255


def test_a_change_of_nothing_raises_nothing(s):
    s.sql('update "Course" set name = name; update "Lesson" set rank = rank;'
          'update "User" set "updatedAt" = now(), "emailVerified" = now();'
          'delete from "Course" where false; update "LessonOnUser" set progress = progress')
    assert raised(s) == set()


def test_one_transaction_is_one_row_and_a_savepoint_takes_its_own_back(s):
    s.sql(f"update \"Course\" set name = 'One' where id = '{COURSE}'")
    s.sql("savepoint here; delete from \"Lesson\"; rollback to here")
    s.sql(f"update \"Course\" set name = 'Two' where id = '{DRAFT}'")
    assert s.sql("select count(*), min(cardinality(tags)) from pupitre.outbox"
                 " where xid = pg_current_xact_id()") == [(1, 5)]
    assert raised(s) == {f"course:{COURSE}", f"course:{DRAFT}", f"creator:{ADMIN}:courses",
                         f"creator:{ADMIN_2}:courses", "courses:published"}


def test_thousands_of_rows_are_one_wide_tag(s):
    s.sql("""insert into "User" (id, "updatedAt") select 'crowd-' || i, now()
      from generate_series(1, 3000) as i""")
    assert raised(s) == {"user", "course"}
    # One by one, too.
    for i in range(60):
        s.sql("update \"Lesson\" set name = %s where id = 'demo-lesson-1-1'", f"Name {i}")
        s.sql('insert into sessions (id, session_token, user_id, expires) values (%s, %s, %s, now())',
              f"many-{i}", f"many-{i}", STUDENT)
        s.sql("delete from sessions where id = %s", f"many-{i}")
    assert "session" in raised(s)
    assert not any(tag.startswith("session:") for tag in raised(s))
    assert "lesson:demo-lesson-1-1" in raised(s)


def test_triggers_fire_for_a_role_that_knows_nothing_of_them_and_in_a_restore(empty):
    owner = empty.migrate().session()
    role = f"prisma_{empty.name}"
    owner.sql(f'create role {role} login; grant usage on schema public to {role};'
              f'grant select, insert, update on "User" to {role}')
    try:
        prisma = empty.session(user=role)
        prisma.sql("set search_path = nowhere, public")
        prisma.sql('insert into "User" (id, "updatedAt") values (%s, now())', "u")
        assert owner.sql("select tags from pupitre.outbox") == [(["user:u"],)]
        prisma.close()
        owner.sql("set session_replication_role = replica")
        owner.sql("update \"User\" set name = 'x'")
        assert owner.sql("select count(*) from pupitre.outbox") == [(2,)]
    finally:
        owner.sql(f"drop owned by {role} cascade; drop role {role}")


def test_tables_in_a_schema_of_their_own(empty):
    s = empty.session()
    s.sql('create schema "Odd name"; set search_path = "Odd name"')
    empty.migrate(s)
    s.sql('insert into "User" (id, "updatedAt") values (%s, now())', "u")
    new_lesson(s, new_course(s, creator="u"), "PUBLIC")
    s.run("enrolment_join", "j", "u", s.sql('select id from "Course"')[0][0])
    s.sql("set search_path = public")
    s.sql('update "Odd name"."User" set name = %s', "New")
    tags = s.sql("select tags from pupitre.outbox order by xid desc limit 1")[0][0]
    assert len(tags) == 2 and tags[0].endswith(":names") and tags[1] == "user:u"


def test_a_rename_of_anybody_in_a_course_concerns_all_pages_of_its_participants(s):
    for page in (1, 2):
        for name in ("user_course_participants", "admin_course_participants"):
            row = s.run(name, COURSE, 2, page, "")
            shown = {f"user:{u['userId']}" for u in body(row)["users"]}
            assert len(shown) == 2
            assert set(row["tags"]) == shown | {
                f"course:{COURSE}", f"course:{COURSE}:users", f"course:{COURSE}:names"}


def test_tags_of_a_family_beyond_fifty_become_its_word(s):
    def widen(*tags):
        return s.sql("select pupitre.widen(%s)", list(tags))[0][0]

    fifty = [f"a:{i:02}" for i in range(50)]
    assert widen(*fifty, "b:1", "b:1") == fifty + ["b:1"]
    assert widen(*fifty, "a:50", "b:1") == ["a", "b:1"]
    assert widen("a", "a:1", "b:1:c", "all") == ["a", "all", "b:1:c"]
    assert s.sql("select pupitre.widen('{}')") == [([],)]


# ---- two at once

@pytest.fixture
def two(school):
    a, b = school.session(), school.session()
    yield school, a, b
    for one in (a, b):
        one.sql("rollback")
        one.close()


def test_two_new_lessons_at_once_get_two_ranks(two):
    school, a, b = two
    course = new_course(a)
    for one in (a, b):
        one.sql("begin")
    assert a.run("course_lock", course, ADMIN)["outcome"] == "ok"
    thread, answer = school.waits(b, lambda: b.run("course_lock", course, ADMIN))
    first = body(a.run("lesson_create", fresh("lesson"), course, "L", "T", "HIDDEN"))["lesson"]
    a.sql("commit")
    thread.join(10)
    assert answer["row"]["outcome"] == "ok"
    second = body(b.run("lesson_create", fresh("lesson"), course, "L", "T", "HIDDEN"))["lesson"]
    b.sql("commit")
    assert (first["rank"], second["rank"]) == ("1", "2")
    assert first["createdAt"] <= second["createdAt"]


def test_joining_a_course_that_goes_away_is_not_found(two):
    school, a, b = two
    course = new_course(a)
    for one in (a, b):
        one.sql("begin")
    a.run("course_lock", course, ADMIN)
    a.run("course_delete", course, ADMIN)
    thread, answer = school.waits(b, lambda: b.run("enrolment_lock", course))
    a.sql("commit")
    thread.join(10)
    assert answer["row"]["outcome"] == "not_found"


def test_a_delete_waits_for_who_is_joining_and_raises_him(two):
    school, a, b = two
    course = new_course(a)
    for one in (a, b):
        one.sql("begin")
    a.run("enrolment_lock", course)
    a.run("enrolment_join", fresh(), STUDENT, course)
    thread, answer = school.waits(b, lambda: b.run("course_lock", course, ADMIN))
    a.sql("commit")
    thread.join(10)
    b.run("course_delete", course, ADMIN)
    assert f"user:{STUDENT}:courses" in raised(b)
    b.sql("commit")


def test_two_joins_at_once_are_one(two):
    school, a, b = two
    course = new_course(a)
    for one in (a, b):
        one.sql("begin")
        assert one.run("enrolment_lock", course)["outcome"] == "ok"
    a.run("enrolment_join", fresh(), STUDENT, course)
    thread, answer = school.waits(b, lambda: b.run("enrolment_join", fresh(), STUDENT, course))
    a.sql("commit")
    thread.join(10)
    b.sql("commit")
    assert answer["row"]["outcome"] == "ok"
    assert a.sql('select count(*) from "CourseOnUser" where "courseId" = %s', course) == [(1,)]


def test_progress_on_a_lesson_that_goes_away_is_not_found(two):
    school, a, b = two
    course = new_course(a)
    lesson = new_lesson(a, course)
    a.run("enrolment_join", fresh(), STUDENT, course)
    for one in (a, b):
        one.sql("begin")
    a.run("course_lock", course, ADMIN)
    a.run("lesson_delete", course, lesson, ADMIN)
    thread, answer = school.waits(
        b, lambda: b.run("progress_put", fresh(), STUDENT, lesson, "COMPLETED"))
    a.sql("commit")
    thread.join(10)
    assert answer["row"]["outcome"] == "not_found"


def test_a_session_for_nobody_is_refused(s):
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        s.run("session_create", "s", "nobody", "token", 1900000000000)
