#include "web/rhythm.h"

#include <string.h>

#include "mail/jsontext.h"

static struct str weekday_name(json_t *locale, struct str day)
{
	static const char days[7][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	const json_t *names = json_object_get(json_object_get(locale, "date"), "weekdays");
	for (size_t i = 0; i < 7; i++)
		if (str_is(day, days[i]))
			return jsontext_of(names, (char[]){(char)('1' + i), '\0'});
	return day;
}

int rhythm_text(json_t *locale, struct str schedule, struct buf *out)
{
	char key[16];
	struct str time = schedule, day = {"", 0};
	struct str rhythm = str_take(&time, ' ');
	str_cut(time, ' ', &day, &time);
	if (rhythm.n >= sizeof(key))
		return buf_addstr(out, schedule);
	memcpy(key, rhythm.p, rhythm.n);
	key[rhythm.n] = '\0';

	struct str pattern =
	    jsontext_of(json_object_get(json_object_get(locale, "web"), "rhythm"), key);
	if (!pattern.n)
		return buf_addstr(out, schedule);
	while (pattern.n) {
		struct str before, hole, after;
		if (!str_cut(pattern, '{', &before, &hole) || !str_cut(hole, '}', &hole, &after)) {
			buf_addstr(out, pattern);
			break;
		}
		buf_addstr(out, before);
		if (str_is(hole, "time"))
			buf_addstr(out, time);
		else if (str_is(hole, "day"))
			buf_addstr(out, day);
		else if (str_is(hole, "weekday"))
			buf_addstr(out, weekday_name(locale, day));
		pattern = after;
	}
	return out->err;
}
