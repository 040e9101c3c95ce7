#include "common/err.h"

enum { FINAL = false, RETRY = true };

struct row {
	const char *name, *text;
	bool retriable;
};

static struct row
row_of(enum err e)
{
	switch (e) {
#define E(name, code, retry, text)                                                                           \
	case ERR_##name:                                                                                     \
		return (struct row){ #name, text, retry };
		ERR_LIST(E)
#undef E
	}
	return row_of(ERR_UNKNOWN_SERVER_ERROR);
}

const char *
err_name(enum err e)
{
	return row_of(e).name;
}

const char *
err_text(enum err e)
{
	return row_of(e).text;
}

bool
err_is_retriable(enum err e)
{
	return row_of(e).retriable;
}
