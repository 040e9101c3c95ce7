/* The one place that knows the version; `broker --version` prints it. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define FORKA_VERSION "0.1.0"

#endif
