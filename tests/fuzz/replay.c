/*
 * replay: a fuzzer without a fuzzer. Every input of tests/fuzz/corpus/<name> once, so that what fuzzing found stays
 * found in every build and with every compiler. Linked with fuzz_<name>.c, as BUILD/tests/corpus_<name>.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "tests/lib/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char corpus[256];

static int
is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
play(const char *name)
{
	static uint8_t input[1 << 20];
	FILE *file = fopen(test_path(corpus, name), "r");

	CHECK(file != NULL);
	size_t n = fread(input, 1, sizeof(input), file);
	CHECK(fclose(file) == 0);
	uint8_t *copy = malloc(n > 0 ? n : 1); /* of exactly that size, for the sanitizers */
	CHECK(copy != NULL);
	memcpy(copy, input, n);
	print_message("# %s\n", name);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
corpus_is_harmless(void **state)
{
	struct dirent **names;
	int n = scandir(corpus, &names, is_input, alphasort);

	(void)state;
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		play(names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(corpus_is_harmless) };
	const char *name = argc > 0 ? strrchr(argv[0], '_') : NULL;

	CHECK(name != NULL);
	(void)snprintf(corpus, sizeof(corpus), "tests/fuzz/corpus/%s", name + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
