/*
 * properties: files in the format of Kafka's server.properties, which is that of java.util.Properties.
 *
 *	# comment            ! comment
 *	key=value            key: value            key value           blanks around key and separator do not
 * count
 *	list = a,\
 *	       b             a backslash at the end joins the next line, without its leading blanks
 *	\t \n \r \f \\ \=    escapes in keys and values, and \uXXXX
 *
 * As Kafka does with its options, blanks at the end of a value are dropped too. Text is UTF-8.
 */
#ifndef COMMON_PROPERTIES_H
#define COMMON_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

/* One key with its value (valid during the call) and the line it begins on, from 1. False stops the reading.
 */
typedef bool properties_fn(void *context, int line, const char *key, const char *value);

/*
 * Give every pair of the text to `fn`, in order. False: `fn` stopped, or an escape is wrong, and then `why`
 * says so
 * ("line 7: ..."); where `fn` stopped, `why` is left to it.
 */
bool properties_parse(struct str text, properties_fn *fn, void *context, char *why, size_t why_size);

#endif
