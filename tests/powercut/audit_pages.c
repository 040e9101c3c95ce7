#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "storage/env.h"
#include "tests/powercut/audit.h"

/* The engine's layout on disk (liblmdb 0.9, 64 bits), as far as a walk needs it. */
struct page_head {
	uint64_t number;
	uint16_t pad, flags;
	union {
		struct {
			uint16_t lower, upper;
		};
		uint32_t overflow_pages;
	};
	uint16_t node_at[];
};

struct node {
	uint16_t low, high; /* of a branch: page, of a leaf: size of the value */
	uint16_t flags, key_bytes;
	uint8_t key[];
};

struct tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
	uint32_t magic, version;
	uint64_t address, map_bytes;
	struct tree free, main;
	uint64_t last_page, commit;
};

enum { BRANCH = 1, LEAF = 2, OVERFLOW = 4 };
enum { BIG_VALUE = 1, SUBTREE = 2 };
#define HEAD_BYTES 16
#define NO_PAGE    UINT64_MAX

struct walk {
	const uint8_t *map;
	uint64_t pages;
	uint8_t *used;
};

static const void *
page_at(const struct walk *w, uint64_t number)
{
	CHECK(number < w->pages);
	return w->map + number * 4096;
}

static void
use(struct walk *w, uint64_t number)
{
	CHECK(number < w->pages && w->used[number] == 0);
	w->used[number] = 1;
}

static void walk_tree(struct walk *w, const struct tree *tree, bool frees);

static void
use_free_list(struct walk *w, const uint8_t *at)
{
	uint64_t n, number;
	memcpy(&n, at, sizeof(n));
	for (uint64_t i = 1; i <= n; i++) {
		memcpy(&number, at + i * sizeof(number), sizeof(number));
		use(w, number);
	}
}

/* The value of a leaf's node, in the leaf or in pages of its own. */
static void
walk_value(struct walk *w, const struct node *node, bool frees)
{
	const uint8_t *value = node->key + node->key_bytes;
	if ((node->flags & BIG_VALUE) != 0) {
		uint64_t first;
		memcpy(&first, value, sizeof(first));
		const struct page_head *head = page_at(w, first);
		CHECK(head->number == first && (head->flags & OVERFLOW) != 0);
		for (uint32_t i = 0; i < head->overflow_pages; i++)
			use(w, first + i);
		value = (const uint8_t *)head + HEAD_BYTES;
	}
	if ((node->flags & SUBTREE) != 0) {
		struct tree tree;
		memcpy(&tree, value, sizeof(tree));
		walk_tree(w, &tree, false);
	}
	if (frees)
		use_free_list(w, value);
}

static void
walk_page(struct walk *w, uint64_t number, int depth, bool frees)
{
	const struct page_head *head = page_at(w, number);
	use(w, number);
	CHECK(head->number == number && (head->flags & (depth > 1 ? BRANCH : LEAF)) != 0);
	for (int i = 0; i < (head->lower - HEAD_BYTES) / 2; i++) {
		const struct node *node = (const void *)((const uint8_t *)head + head->node_at[i]);
		if (depth > 1)
			walk_page(w, node->low | (uint64_t)node->high << 16 | (uint64_t)node->flags << 32,
				  depth - 1, frees);
		else
			walk_value(w, node, frees);
	}
}

static void
walk_tree(struct walk *w, const struct tree *tree, bool frees)
{
	if (tree->root != NO_PAGE)
		walk_page(w, tree->root, tree->depth, frees);
}

void
audit_pages(struct store_fixture *f)
{
	CHECK(f->store->page_bytes == 4096);
	struct stat st;
	CHECK(fstat(f->store->data_fd, &st) == 0);
	const uint8_t *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, f->store->data_fd, 0);
	CHECK(map != MAP_FAILED);
	const struct meta *a = (const void *)(map + HEAD_BYTES), *b = (const void *)(map + 4096 + HEAD_BYTES);
	const struct meta *meta = a->commit > b->commit ? a : b;
	struct walk w = { .map = map, .pages = meta->last_page + 1 };
	/* A file that is longer than that was grown by a commit that the power cut took back. */
	CHECK(w.pages * 4096 <= (uint64_t)st.st_size);
	w.used = calloc(w.pages, 1);
	CHECK(w.used != NULL);
	use(&w, 0);
	use(&w, 1);
	walk_tree(&w, &meta->free, true);
	walk_tree(&w, &meta->main, false);
	CHECK(memchr(w.used, 0, w.pages) == NULL);
	free(w.used);
	munmap((void *)(uintptr_t)map, (size_t)st.st_size);
}
