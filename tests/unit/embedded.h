/*
 * For a test that brings files of its own instead of those within the program: it defines
 * `const struct embedded_file embedded_files[] = { EMBED("templates/x", "text"), EMBED_END };`
 */
#pragma once

#include "base/embed.h"

#define EMBED(name, text)                                                                          \
	{                                                                                          \
		name, text, &(text)[sizeof(text) - 1]                                              \
	}
#define EMBED_END                                                                                  \
	{                                                                                          \
		NULL, NULL, NULL                                                                   \
	}
