"""How often the engines have asked the database something: what they did, instead of what time it is.

    looks = Looks(cluster, news, "editions_due")
    clock.set("2027-06-01 05:00:01")
    looks.wait(engine)      # by now they would have done whatever that moment brings
"""

import psycopg2


class Looks:
    """Counts the calls of one of the schema's functions, in this test's database."""

    def __init__(self, cluster, news, function):
        self.news = news
        self.sequence = f"calls_of_{function}"
        connection = psycopg2.connect(cluster.dsn(database=news.database))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_get_function_identity_arguments(oid), pg_get_function_result(oid), pronargs"
                           " FROM pg_proc WHERE proname = %s", (function,))
            arguments, result, count = cursor.fetchone()
            given = ", ".join(f"${number}" for number in range(1, count + 1))
            cursor.execute(f"""
                CREATE SEQUENCE {self.sequence};
                GRANT USAGE, SELECT ON {self.sequence} TO digestd_engine, digestd_operator;
                ALTER FUNCTION {function} RENAME TO {function}_itself;
                CREATE FUNCTION {function}({arguments}) RETURNS {result} LANGUAGE sql AS $$
                    SELECT nextval('{self.sequence}');
                    SELECT * FROM {function}_itself({given})
                $$;
                GRANT EXECUTE ON FUNCTION {function} TO digestd_engine""")
        connection.close()

    def count(self):
        return self.news.value(f"SELECT last_value - 1 + is_called::int FROM {self.sequence}")

    def wait(self, engine, engines=1, looks=3):
        """Until one of so many engines has looked, and done what that brought.

        The first look may have begun before; the next hasn't; and a third begins when the second is
        dealt with.
        """
        seen = self.count()
        engine.wait_for(lambda: self.count() >= seen + looks * engines)
