/* db: the database itself. */
#include <stdio.h>
#include <string.h>

#include "base/embed.h"
#include "ctl/db_check.h"
#include "ctl/nouns.h"
#include "ctl/output.h"
#include "store/init.h"
#include "store/migrate.h"

static void say(void *user, const struct migration *m)
{
	const struct ctl *ctl = user;
	if (!ctl->json)
		printf("applied %04d %s\n", m->number, m->name);
}

static const char *value_of(const struct conninfo *info, const char *keyword)
{
	for (int i = 0; i < info->count; i++)
		if (strcmp(info->keywords[i], keyword) == 0)
			return info->values[i];
	return NULL;
}

static void add_pair(struct buf *out, const char *keyword, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(out, "%s='", keyword);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *value);
	}
	buf_adds(out, "' ");
}

/* Without a word from the operator: who they are in the system, on the owner's server. */
static int default_admin(const struct conninfo *owner, struct buf *out)
{
	static const char *const keywords[] = {"host", "hostaddr", "port"};
	for (size_t i = 0; i < ELEMENTS(keywords); i++)
		add_pair(out, keywords[i], value_of(owner, keywords[i]));
	return buf_adds(out, "dbname=postgres");
}

static int init(struct ctl *ctl, const struct conninfo *owner)
{
	struct why why;
	_cleanup_buf_ struct buf admin = {0};
	const char *conninfo = ctl_value(ctl, "conninfo");
	const char *database = value_of(owner, "dbname");
	if (!database)
		return ctl_fail(CTL_FAILED, "database.owner names no database (dbname=...)");
	if (default_admin(owner, &admin) < 0)
		return ctl_no_memory();
	struct init_options options = {
	    .admin = {.conninfo = conninfo ? conninfo : buf_text(&admin),
		      .application = "digestctl",
		      .answer_limit = 3600 * USEC_PER_SEC},
	    .database = database,
	    .files = embedded_files,
	    .say = say,
	    .user = ctl,
	};
	if (init_database(&options, &why) < 0)
		return ctl_fail(CTL_FAILED, "%s", why.text);
	return output_done(ctl, json_pack("{s:s}", "database", database),
			   "the database %s is ready", database);
}

static int run_init(struct ctl *ctl)
{
	struct why why;
	struct conninfo owner;
	int r = ctl_settings(ctl);
	if (r != CTL_OK)
		return r;
	struct db_config login = {.conninfo = ctl->settings->database.owner.conninfo};
	if (conninfo_read(&login, &owner, &why) < 0)
		return ctl_fail(CTL_FAILED, "database.owner: %s", why.text);
	r = init(ctl, &owner);
	conninfo_free(&owner);
	return r;
}

static int run_migrate(struct ctl *ctl)
{
	struct why why;
	int applied = 0;
	int r = ctl_connect_owner(ctl);
	if (r != CTL_OK)
		return r;
	if (migrate_run(ctl->pg, embedded_files, NULL, say, ctl, &applied, &why) < 0)
		return ctl_pg_failed(ctl, &why);
	if (applied == 0)
		return output_done(ctl, json_pack("{s:i}", "applied", 0),
				   "nothing to do: the schema is up to date");
	return output_done(ctl, json_pack("{s:i}", "applied", applied), "applied %d migration%s",
			   applied, applied == 1 ? "" : "s");
}

static const char *state_word(enum migration_state state)
{
	static const char *const words[] = {
	    [MIGRATION_PENDING] = "pending", [MIGRATION_APPLIED] = "applied",
	    [MIGRATION_CHANGED] = "changed", [MIGRATION_UNKNOWN] = "unknown",
	    [MIGRATION_MISSED] = "missed",
	};
	return words[state];
}

/* Fails when the program can't work with what is there. */
static int run_status(struct ctl *ctl)
{
	static const struct output_column columns[] = {
	    {"number", "NUMBER", OUTPUT_INT, NULL}, {"name", "NAME", OUTPUT_TEXT, NULL},
	    {"state", "STATE", OUTPUT_TEXT, NULL},  {"applied_at", "APPLIED", OUTPUT_TIME, NULL},
	    {NULL, NULL, OUTPUT_TEXT, NULL},
	};
	struct why why;
	struct migration *list;
	size_t count;
	int r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	if (migrate_status(ctl->pg, embedded_files, &ctl->arena, &list, &count, &why) < 0)
		return ctl_pg_failed(ctl, &why);
	json_t *rows = json_array();
	bool fits = true;
	for (size_t i = 0; i < count; i++) {
		fits = fits && list[i].state == MIGRATION_APPLIED;
		json_t *row = json_pack("{s:i, s:s, s:s, s:o}", "number", list[i].number, "name",
					list[i].name, "state", state_word(list[i].state),
					"applied_at", output_time(list[i].applied_at));
		if (json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return ctl_no_memory();
		}
	}
	r = output_table(ctl, columns, rows, "there are no migrations");
	if (r == CTL_OK && !fits)
		r = ctl_fail(CTL_FAILED, "the schema isn't the one of this program (%s)",
			     sync_shown(ctl->pg));
	return r;
}

static const struct ctl_verb verbs[] = {
    {.name = "init",
     .arguments = "",
     .help = "Make the roles, the database, the schema and the first key; again changes nothing.",
     .run = run_init,
     .options =
	 (const struct ctl_option[]){
	     {"conninfo", "CONNINFO",
	      "a superuser's connection (default: as you, to database.owner's server)"},
	     {0}},
     .more = "The database's name is that of database.owner in the configuration. How the roles\n"
	     "prove who they are (peer, password) is PostgreSQL's affair: pg_hba.conf."},
    {.name = "migrate",
     .arguments = "",
     .help = "Apply the migrations that the database lacks, as database.owner.",
     .run = run_migrate},
    {.name = "status",
     .arguments = "",
     .help = "Tell which migrations were applied; fails when they aren't just this program's.",
     .run = run_status},
    {.name = "check",
     .arguments = "",
     .help = "Look whether everything in the store agrees: an invariant a line.",
     .run = db_run_check,
     .options =
	 (const struct ctl_option[]){
	     {"issues", "N", "audit so many of the newest issues, too (default: 20)"},
	     {"all", NULL, "show all that breaks an invariant, not only the first 20"},
	     {0}},
     .more =
	 "Each invariant of the queue has a line. Then issues are audited: all that are live,\n"
	 "and the newest. It sees one moment of the store, changes nothing, and may run while\n"
	 "issues go out.\n"
	 "\n"
	 "Exit status: 0 when every invariant holds, 1 when one is broken; then it says by what,\n"
	 "and what to do."},
    {0},
};

const struct ctl_noun noun_db = {
    "db", "make the database, keep its schema, look whether all agrees", verbs};
