"""No statement reads a big table from end to end, whichever kind of plan
PostgreSQL takes: one for the values at hand, or one for any."""
import json

import pytest

from database import QUERIES, Database

BIG = {"User", "Course", "Lesson", "CourseOnUser", "LessonOnUser", "sessions", "credential",
       "outbox"}
COURSE, LESSON = "demo-course-601", "demo-lesson-601-2"
STUDENT, ADMIN = "demo-student", "demo-admin"

CALLS = {
    "public_lessons": [("5", "1", ""), ("100", "9", ""), ("5", "1000000", ""),
                       ("5", "1", "first steps in cook"), ("100", "2", "COOKING")],
    "user_courses": [(STUDENT, "5", "1", ""), (STUDENT, "100", "9", ""),
                     (STUDENT, "5", "1", "typography ii")],
    "user_course": [(COURSE,)],
    "user_course_lessons": [(COURSE, STUDENT, "5", "1", ""), (COURSE, STUDENT, "5", "1", "test")],
    "user_course_participants": [(COURSE, "5", "1", ""), (COURSE, "100", "1", "ma")],
    "user_lesson": [(LESSON,)],
    "user_lesson_progress": [(LESSON, STUDENT)],
    "admin_courses": [(ADMIN, "5", "1", ""), (ADMIN, "100", "2", ""), (ADMIN, "5", "1", "sql"),
                      (ADMIN, "5", "1", "s")],
    "admin_course": [(COURSE,)],
    "admin_course_lessons": [(COURSE, "5", "1", ""), (COURSE, "5", "1", "test")],
    "admin_course_lesson": [(COURSE, LESSON)],
    "admin_course_participants": [(COURSE, "5", "1", ""), (COURSE, "100", "1", "ma")],
    "auth_me": [(STUDENT,)],
    "guard_course_creator": [(COURSE, ADMIN)],
    "guard_course_member": [(COURSE, STUDENT)],
    "guard_lesson_reader": [(LESSON, STUDENT)],
    "session_find": [("token-77",)],
    "session_create": [("s-new", "crowd-77", "token-new", "1900000000000")],
    "session_delete": [("token-77",)],
    "credential_find": [("Crowd77@example.org",)],
    "credential_put": [("crowd-77", "hash")],
    "user_by_email": [("Crowd77@example.org",)],
    "user_create": [("u-new", "new@example.org", None, "USER")],
    "course_lock": [(COURSE, ADMIN)],
    "course_create": [("c-new", "Name", "https://i.example/", "About", "DRAFT", ADMIN)],
    "course_update": [(COURSE, ADMIN, "Name", None, None, None)],
    "course_delete": [(COURSE, ADMIN)],
    "lesson_create": [("l-new", COURSE, "Name", "Text", "HIDDEN")],
    "lesson_update": [(COURSE, LESSON, ADMIN, "Name", None, None, None)],
    "lesson_delete": [(COURSE, LESSON, ADMIN)],
    "enrolment_lock": [(COURSE,)],
    "enrolment_join": [("j-new", STUDENT, COURSE)],
    "enrolment_leave": [(STUDENT, COURSE)],
    "progress_put": [("p-new", STUDENT, LESSON, "COMPLETED")],
    "outbox_read": [(None, None), ("x/50000:50000:/1", None)],
    "outbox_mine": [()],
    "outbox_note": [("course:1",)],
    "outbox_prune": [("3600", "100000")],
    "outbox_recent": [("50",)],
    "doctor": [()],
    "hot_list": [("500",)],
    "hot_put": [("12 user:courses:limit:5\n3 admin:courses:limit:5",)],
    "transaction_status": [("3", "any", None), ("3", "any", "1")],
}


@pytest.fixture(scope="module")
def large(server_url):
    database = Database(server_url).migrate().demo(2000)
    s = database.session()
    s.sql("""insert into "User" (id, name, email, "updatedAt")
      select 'crowd-' || i, 'Name ' || i, 'crowd' || i || '@example.org', now()
      from generate_series(1, 20000) as i""")
    s.sql("""insert into sessions (id, session_token, user_id, expires)
      select 's-' || i, 'token-' || i, 'crowd-' || i, now() + interval '1 day'
      from generate_series(1, 20000) as i""")
    s.sql("""insert into pupitre.credential (user_id, hash)
      select 'crowd-' || i, 'hash' from generate_series(1, 20000) as i""")
    s.sql("""insert into "Course" (id, name, presentation, image, "creatorId", state)
      select 'crowd-' || i, 'Evening class ' || i, repeat('About it. ', 25), 'https://i.example/',
        'crowd-' || i, case when i % 3 = 0 then 'DRAFT' else 'PUBLISHED' end::"CourseState"
      from generate_series(1, 20000) as i""")
    s.sql("update \"Course\" set \"creatorId\" = 'demo-admin' where id = %s", COURSE)
    s.sql("""insert into pupitre.outbox (xid, tags) select i::text::xid8, '{course:1}'
      from generate_series(1, 50000) as i on conflict do nothing""")
    s.sql("vacuum analyze")
    yield database
    database.drop()


def nodes(plan):
    """The nodes that ran."""
    if plan.get("Actual Loops", 0) > 0:
        yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def ran(session, name, params):
    session.sql("begin")
    try:
        return list(nodes(session.explain(name, *params)))
    finally:
        session.sql("rollback")


def test_every_statement_is_looked_at():
    assert set(CALLS) == set(QUERIES)


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
def test_no_statement_reads_a_whole_table(large, plans):
    session = large.session(plans=plans)
    faults = []
    for name, calls in CALLS.items():
        for params in calls:
            for node in ran(session, name, params):
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG:
                    faults.append(f"{name} {params}: {node['Relation Name']}")
    assert not faults, "\n".join(faults)


def indexes(session, name, params):
    return {node.get("Index Name") for node in ran(session, name, params)}


@pytest.mark.parametrize("plans", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("name, trigrams, before", [
    ("public_lessons", "pupitre_lesson_name", ()),
    ("user_courses", "pupitre_course_name", (STUDENT,))])
def test_trigrams_serve_the_searches_that_have_one_and_no_others(
        large, plans, name, trigrams, before):
    session = large.session(plans=plans)
    for search in ("", "a", "ii", "% _", "???"):
        assert trigrams not in indexes(session, name, (*before, "5", "1", search)), search
    assert trigrams in indexes(session, name, (*before, "5", "1", "typography"))


@pytest.mark.parametrize("name, before", [("public_lessons", ()), ("user_courses", (STUDENT,))])
def test_a_page_without_search_reads_no_row_that_it_does_not_show(large, name, before):
    session = large.session(plans="force_generic_plan")
    for node in ran(session, name, (*before, "5", "20", "")):
        if node["Node Type"] in ("Index Scan", "Bitmap Heap Scan"):
            assert node["Actual Rows"] <= 5, node


@pytest.mark.parametrize("name, before", [("public_lessons", ()), ("user_courses", (STUDENT,))])
def test_a_page_is_walked_to_from_the_nearer_end(large, name, before):
    session = large.session(plans="force_generic_plan")
    total = json.loads(session.run(name, *before, "5", "1", "")["body"])["total"]
    assert total > 1000
    last = (total + 4) // 5

    def walked(page):
        """Entries of the index beside those that were counted."""
        return sum(node["Actual Rows"] * node["Actual Loops"]
                   for node in ran(session, name, (*before, "5", str(page), ""))
                   if node["Node Type"] == "Index Only Scan") - total

    assert walked(1) <= 5
    assert walked(last) <= 5
    assert walked(last - 10) <= 60
    assert walked(last + 1) == walked(1000000) == 0
    assert walked(last // 2) <= total / 2 + 5


@pytest.mark.parametrize("lessons", [0, 1, 5, 23, 100])
def test_the_pages_are_the_list_in_pieces(empty, lessons):
    empty.migrate()
    s = empty.session()
    s.sql("insert into \"User\" (id) values ('u')")
    s.sql("insert into \"Course\" (id, name, presentation, image, \"creatorId\", state)"
          " values ('c', 'Course', 'About', 'https://i.example/', 'u', 'PUBLISHED')")
    # Many at one moment: then the id decides.
    s.sql("insert into \"Lesson\" (id, name, rank, content, state, \"courseId\", \"createdAt\")"
          " select 'l' || i, 'Lesson ' || i, 'a' || i, 'Text', 'PUBLIC', 'c',"
          " timestamp '2025-01-01' + i / 7 * interval '1 s'"
          " from generate_series(1, %s) as i", lessons)
    whole = [id for (id,) in s.sql("select id from \"Lesson\" order by \"createdAt\", id")]
    for limit in (1, 2, 5, 7, 100):
        found = []
        for page in range(1, (lessons + limit - 1) // limit + 3):
            body = json.loads(s.run("public_lessons", limit, page, "")["body"])
            assert body["total"] == lessons
            assert len(body["data"]) <= limit
            found += [row["id"] for row in body["data"]]
        assert found == whole
