# Turns a list of file names into C: each file's bytes by .incbin, and a table of them sorted by
# name (see embed.h). The names are relative to the project's root, where make runs.
BEGIN {
	print "#include \"base/embed.h\""
	print ""
}
{
	printf "__asm__(\".section .rodata\\n.global embedded_%d, embedded_%d_end\\n\"\n", NR, NR
	printf "\t\"embedded_%d: .incbin \\\"%s\\\"\\nembedded_%d_end: .byte 0\\n.previous\");\n", NR, $0, NR
	printf "extern const char embedded_%d[], embedded_%d_end[];\n", NR, NR
	name[NR] = $0
}
END {
	print "\nconst struct embedded_file embedded_files[] = {"
	for (i = 1; i <= NR; i++)
		printf "\t{\"%s\", embedded_%d, embedded_%d_end},\n", name[i], i, i
	print "\t{NULL, NULL, NULL},\n};"
}
