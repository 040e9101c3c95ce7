/* Prints docs/configuration.md; `make docs` and `make check-docs` run it. */
#include "common/config.h"

int
main(void)
{
	config_markdown(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
