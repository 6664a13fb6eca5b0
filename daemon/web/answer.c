#include "web/answer.h"

#include <string.h>

void answer_plain(struct answer *a, unsigned status, const char *text)
{
	a->status = status;
	a->type = "text/plain; charset=utf-8";
	strcpy(a->csp, "default-src 'none'; frame-ancestors 'none'");
	buf_reset(&a->body);
	buf_adds(&a->body, text);
	buf_addc(&a->body, '\n');
}
