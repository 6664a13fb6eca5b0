# Turns sql/queries/*.sql into C. A statement begins with a line "-- name: thing_done" and goes on
# to the next such line; lines that hold only a comment, and empty ones, are left out. Each becomes
# `extern const char sql_thing_done[];` in queries.h, and one row of `sql_statements`.
function flush_statement() {
	if (name != "")
		print ";\n" > source
	name = ""
}
BEGIN {
	print "/* Made from sql/queries by sql/queries.awk. */\n#pragma once\n" > header
	print "struct sql_statement {\n\tconst char *name;\n\tconst char *text;\n};\n" > header
	print "extern const struct sql_statement sql_statements[]; /* ends with NULL */\n" > header
	print "#include \"queries.h\"\n#include <stddef.h>\n" > source
}
/^-- name: / {
	flush_statement()
	name = $3
	names[++count] = name
	printf "extern const char sql_%s[];\n", name > header
	printf "const char sql_%s[] =", name > source
	next
}
/^[ \t]*--/ || /^[ \t]*$/ { next }
{
	if (name == "") {
		printf "%s:%d: a statement before any \"-- name:\" line\n", FILENAME, FNR > "/dev/stderr"
		exit 1
	}
	gsub(/\\/, "\\\\\\\\")
	gsub(/"/, "\\\"")
	printf "\n\t\"%s\\n\"", $0 > source
}
END {
	flush_statement()
	print "const struct sql_statement sql_statements[] = {" > source
	for (i = 1; i <= count; i++)
		printf "\t{\"%s\", sql_%s},\n", names[i], names[i] > source
	print "\t{NULL, NULL},\n};" > source
}
