#include "schema.h"

#include <stdlib.h>
#include <string.h>

/*
 * msgc OUTDIR FILE.msg...    write OUTDIR/messages.h and OUTDIR/messages.c
 * msgc --doc FILE.msg...     write the API reference to standard output
 */

static int
by_key(const void *a, const void *b)
{
	return ((const struct schema *)a)->key - ((const struct schema *)b)->key;
}

int
main(int argc, char **argv)
{
	size_t n = argc > 2 ? (size_t)argc - 2 : 0;
	struct schema *all;

	if (n == 0) {
		fputs("usage: msgc OUTDIR FILE.msg...\n       msgc --doc FILE.msg...\n", stderr);
		return 2;
	}
	all = calloc(n, sizeof(*all));
	if (all == NULL)
		return 1;
	for (size_t i = 0; i < n; i++) {
		schema_parse(&all[i], argv[i + 2]);
		schema_check(&all[i]);
	}
	qsort(all, n, sizeof(*all), by_key);
	for (size_t i = 1; i < n; i++)
		if (all[i].key == all[i - 1].key)
			schema_error(&all[i], 1, "key %d is also in %s", all[i].key, all[i - 1].file);
	if (strcmp(argv[1], "--doc") == 0)
		emit_docs(stdout, all, n);
	else
		emit_code(argv[1], all, n);
	for (size_t i = 0; i < n; i++)
		schema_free(&all[i]);
	free(all);
	return ferror(stdout) || fflush(stdout) != 0;
}
