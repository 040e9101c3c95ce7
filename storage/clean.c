#include "storage/env.h"
enum err
store_clean(struct store *store, const struct clean_rules *rules, bool *more)
{
	(void)store;
	(void)rules;
	*more = false;
	return ERR_NONE;
}
