/*
 * audit: is a store in order, whatever was written to it? Fails the program where it is not.
 *
 *	audit_pages   every page of data.mdb is used once, or free once, or a meta page: none is lost, none
 *	              is used twice. By walking the file, as the engine's own counts would not tell.
 *	audit_rows    tables agree with each other: topics by number, name and id; partitions, their logs,
 *	              the time index, the producers; groups by name and number, and their offsets
 */
#ifndef TESTS_POWERCUT_AUDIT_H
#define TESTS_POWERCUT_AUDIT_H

#include "tests/lib/store_fixture.h"

void audit_pages(struct store_fixture *f);
void audit_rows(struct store_fixture *f);

#endif
