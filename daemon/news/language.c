#include "news/language.h"

#include <ctype.h>
#include <utf8proc.h>

bool language_tag(struct str text, char ret[static LANGUAGE_TAG])
{
	ret[0] = '\0';
	text = str_trim(text);
	if (text.n < 2 || text.n >= LANGUAGE_TAG)
		return false;
	char tag[LANGUAGE_TAG] = "";
	size_t start = 0, part = 0;
	for (size_t i = 0; i <= text.n; i++) {
		unsigned char c = i < text.n ? (unsigned char)text.p[i] : '-';
		if (c == '_' || c == '-') {
			size_t n = i - start;
			if (n < 1 || n > 8 || (part == 0 && n < 2))
				return false;
			if (part && n == 2)
				for (size_t k = start; k < i; k++)
					tag[k] = (char)toupper((unsigned char)tag[k]);
			if (part && n == 4)
				tag[start] = (char)toupper((unsigned char)tag[start]);
			if (i < text.n)
				tag[i] = '-';
			start = i + 1;
			part++;
		} else if (isalpha(c) || (part && isdigit(c))) {
			tag[i] = (char)tolower(c);
		} else {
			return false;
		}
	}
	memcpy(ret, tag, sizeof(tag));
	return true;
}

enum text_dir language_direction(const char *tag)
{
	static const char *const rtl_scripts[] = {"Arab", "Hebr", "Thaa", "Syrc", "Nkoo",
						  "Adlm", "Rohg", "Mand", "Samr", "Aran"};
	static const char *const rtl_languages[] = {
	    "ar",  "arc", "azb", "bal", "bqi", "ckb", "dv",  "fa",  "glk",
	    "he",  "iw",  "ji",  "khw", "ks",  "lrc", "mzn", "nqo", "pnb",
	    "prs", "ps",  "sd",  "sdh", "skr", "syr", "ug",  "ur",  "yi",
	};
	struct str rest = str_of(tag);
	if (!rest.n)
		return TEXT_NEUTRAL;
	struct str part = str_take(&rest, '-'), next = str_take(&rest, '-');
	if (next.n == 4 && isalpha((unsigned char)next.p[0])) {
		for (size_t i = 0; i < ELEMENTS(rtl_scripts); i++)
			if (str_case_is(next, rtl_scripts[i]))
				return TEXT_RTL;
		return TEXT_LTR;
	}
	for (size_t i = 0; i < ELEMENTS(rtl_languages); i++)
		if (str_case_is(part, rtl_languages[i]))
			return TEXT_RTL;
	return TEXT_LTR;
}

enum script { OTHER, GREEK, HEBREW, KANA, HAN, HANGUL, THAI, ARMENIAN, GEORGIAN, ARABIC, SCRIPTS };

static enum script script_of(int32_t c)
{
	static const struct {
		int32_t first, last;
		enum script script;
	} ranges[] = {
	    {0x0370, 0x03FF, GREEK},    {0x0530, 0x058F, ARMENIAN}, {0x0590, 0x05FF, HEBREW},
	    {0x0600, 0x06FF, ARABIC},   {0x0750, 0x077F, ARABIC},   {0x0E00, 0x0E7F, THAI},
	    {0x10A0, 0x10FF, GEORGIAN}, {0x1F00, 0x1FFF, GREEK},    {0x3040, 0x30FF, KANA},
	    {0x4E00, 0x9FFF, HAN},      {0xAC00, 0xD7A3, HANGUL},   {0xFB50, 0xFDFF, ARABIC},
	    {0xFE70, 0xFEFE, ARABIC},
	};
	for (size_t i = 0; i < ELEMENTS(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return ranges[i].script;
	return OTHER;
}

static bool is_letter(int32_t c)
{
	utf8proc_category_t category = utf8proc_category(c);
	return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

/* Of the languages in the Arabic script, by letters that the others don't write. */
static const char *arabic_script(struct str text)
{
	size_t urdu = 0, pashto = 0, persian = 0, arabic = 0;
	while (text.n) {
		switch (text_take(&text)) {
		case 0x0679: /* tteh */
		case 0x0688: /* ddal */
		case 0x0691: /* rreh */
		case 0x06BA: /* noon ghunna */
		case 0x06C1: /* heh goal */
		case 0x06D2: /* yeh barree */ urdu++; break;
		case 0x067C:
		case 0x0689:
		case 0x0693:
		case 0x0696:
		case 0x069A:
		case 0x06BC:
		case 0x06D0:
		case 0x06CD: pashto++; break;
		case 0x067E: /* peh */
		case 0x0686: /* tcheh */
		case 0x0698: /* jeh */
		case 0x06AF: /* gaf */
		case 0x06CC: /* Farsi yeh */
		case 0x06A9: /* keheh */ persian++; break;
		case 0x0629: /* teh marbuta */
		case 0x0643: /* kaf */
		case 0x0649: /* alef maksura */
		case 0x064A: /* yeh */ arabic++; break;
		default: break;
		}
	}
	if (arabic > urdu + pashto + persian)
		return "ar";
	if (pashto > urdu)
		return "ps";
	return urdu ? "ur" : persian ? "fa" : "ar";
}

const char *language_guess(struct str text)
{
	size_t counts[SCRIPTS] = {0}, letters = 0;
	struct str all = text;
	while (text.n) {
		int32_t c = text_take(&text);
		if (!is_letter(c))
			continue;
		counts[script_of(c)]++;
		letters++;
	}
	/* Japanese is written in kana and Han, mixed. */
	if (counts[KANA] * 10 > letters)
		counts[KANA] += counts[HAN];
	static const char *const languages[SCRIPTS] = {
	    [GREEK] = "el", [HEBREW] = "he",   [KANA] = "ja",     [HANGUL] = "ko",
	    [THAI] = "th",  [ARMENIAN] = "hy", [GEORGIAN] = "ka", [ARABIC] = "ar",
	};
	for (size_t i = OTHER + 1; letters && i < SCRIPTS; i++)
		if (languages[i] && counts[i] * 3 > letters * 2)
			return i == ARABIC ? arabic_script(all) : languages[i];
	return "";
}
