/*
 * list: a doubly linked ring through the elements themselves.
 *
 *	struct list parked;                     the head: an element of no struct
 *	struct call { struct list link; ... }   LIST_OF(link_pointer, struct call, link) gives the call
 *
 * An element that is in no list points to itself, so that list_remove() is always allowed.
 */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
/* `it` may be removed within the loop; its successor may not. */
#define LIST_EACH(head, it)                                                                                  \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                            \
	     it = it##_next, it##_next = it->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_append(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void
list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

#endif
