/*
 * What can be known of a text's language without a dictionary: the tag in good form, which way
 * its script runs, and, where a script belongs to one language, a guess.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "base/text.h"

enum { LANGUAGE_TAG = 36 };

/* "EN_us" becomes "en-US" (BCP 47 2.1.1); false, and "", for what is no language tag. */
bool language_tag(struct str text, char ret[static LANGUAGE_TAG]);

/* By the tag's script subtag, else its language; TEXT_NEUTRAL for the empty tag. */
enum text_dir language_direction(const char *tag);

/*
 * The language of a text that is mostly in a script of its own: Greek, Hebrew, Japanese (kana),
 * Korean, Thai, Armenian, Georgian; in the Arabic script Urdu, Pashto or Persian by the letters
 * that only they have, else Arabic. "" for all else (Latin, Cyrillic, Devanagari ...), and when
 * fewer than two in three letters are of that script.
 */
const char *language_guess(struct str text);
