/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is read from memory, where the dynamic loader has put it and knows it by: no file is
 * parsed, and what is listed is what really runs.
 */
#include "microvm/self_objects.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

enum { LOADED_MAX = 64 };

struct loaded {
	const char *path, *soname, *strtab;
	const Elf64_Dyn *dyn;
	const Elf64_Phdr *phdr;
	size_t n_phdr;
	Elf64_Addr base;
};

struct all {
	struct loaded v[LOADED_MAX];
	size_t n;
};

/* The loader may have made the address absolute in place, or not (where it may not write). */
static const void *at(Elf64_Addr base, Elf64_Addr p)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address is what it is */
	return (const void *)(p < base ? base + p : p);
}

static int collect(struct dl_phdr_info *i, size_t size, void *data)
{
	struct all *a = data;
	struct loaded o = {
		.path = i->dlpi_name,
		.phdr = i->dlpi_phdr,
		.n_phdr = i->dlpi_phnum,
		.base = i->dlpi_addr,
	};
	Elf64_Xword soname = 0;

	(void)size;
	if (a->n == LOADED_MAX)
		return 1;
	for (size_t k = 0; k < o.n_phdr; k++)
		if (o.phdr[k].p_type == PT_DYNAMIC)
			o.dyn = at(0, o.base + o.phdr[k].p_vaddr);
	for (const Elf64_Dyn *d = o.dyn; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_STRTAB)
			o.strtab = at(o.base, d->d_un.d_ptr);
		if (d->d_tag == DT_SONAME)
			soname = d->d_un.d_val;
	}
	if (o.strtab && soname)
		o.soname = o.strtab + soname;
	a->v[a->n++] = o;
	return 0;
}

static const struct loaded *by_name(const struct all *a, const char *name)
{
	for (size_t i = 1; i < a->n; i++) {
		const char *base = strrchr(a->v[i].path, '/');

		if ((a->v[i].soname && str_eq(a->v[i].soname, name)) ||
		    (base && str_eq(base + 1, name)))
			return &a->v[i];
	}
	return NULL;
}

/* The note GNU of type NT_GNU_BUILD_ID. */
static void read_build_id(const struct loaded *l, struct self_object *o)
{
	for (size_t k = 0; k < l->n_phdr; k++) {
		const char *p = at(0, l->base + l->phdr[k].p_vaddr);
		size_t left = l->phdr[k].p_memsz;

		if (l->phdr[k].p_type != PT_NOTE)
			continue;
		while (left >= sizeof(Elf64_Nhdr)) {
			Elf64_Nhdr n;
			size_t name, desc;

			memcpy(&n, p, sizeof(n));
			name = (n.n_namesz + 3U) & ~3U;
			desc = (n.n_descsz + 3U) & ~3U;
			if (name > left || desc > left || sizeof(n) + name + desc > left)
				break;
			if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 &&
			    memcmp(p + sizeof(n), "GNU", 4) == 0 &&
			    n.n_descsz <= sizeof(o->build_id)) {
				memcpy(o->build_id, p + sizeof(n) + name, n.n_descsz);
				o->build_id_len = n.n_descsz;
			}
			p += sizeof(n) + name + desc;
			left -= sizeof(n) + name + desc;
		}
	}
}

static int add(struct self_objects *out, const struct loaded *l, const char *path, const char *name,
	       struct err *e)
{
	struct self_object *o = &out->v[out->n];

	for (size_t i = 0; i < out->n; i++)
		if (str_eq(out->v[i].name, name))
			return 0;
	if (out->n == SELF_OBJECTS_MAX)
		return err_set(e, E2BIG, "ctr needs more than %d shared objects", SELF_OBJECTS_MAX);
	if (path[0] != '/')
		return err_set(e, ENOENT, "shared object %s: its path \"%s\" is not absolute", name,
			       path);
	*o = (struct self_object){};
	if ((size_t)snprintf(o->path, sizeof(o->path), "%s", path) >= sizeof(o->path) ||
	    (size_t)snprintf(o->name, sizeof(o->name), "%s", name) >= sizeof(o->name))
		return err_sys(e, ENAMETOOLONG, "shared object %s", path);
	read_build_id(l, o);
	out->n++;
	return 0;
}

static int add_needed(struct self_objects *out, const struct all *a, const struct loaded *l,
		      struct err *e)
{
	for (const Elf64_Dyn *d = l->dyn; d && l->strtab && d->d_tag != DT_NULL; d++) {
		const struct loaded *other;
		const char *name;
		size_t before = out->n;
		int r;

		if (d->d_tag != DT_NEEDED)
			continue;
		name = l->strtab + d->d_un.d_val;
		other = by_name(a, name);
		if (!other)
			return err_set(e, ENOENT, "shared object %s is not loaded", name);
		r = add(out, other, other->path, name, e);
		if (r == 0 && out->n > before)
			r = add_needed(out, a, other, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int self_objects_find(struct self_objects *out, struct err *e)
{
	struct all a = {};
	const struct loaded *self = &a.v[0];
	int r;

	out->n = 0;
	out->interp[0] = '\0';
	dl_iterate_phdr(collect, &a);
	if (a.n == 0)
		return err_set(e, ENOENT, "the dynamic loader lists no program");
	for (size_t k = 0; k < self->n_phdr; k++)
		if (self->phdr[k].p_type == PT_INTERP)
			snprintf(out->interp, sizeof(out->interp), "%s",
				 (const char *)at(0, self->base + self->phdr[k].p_vaddr));
	r = add(out, self, "/proc/self/exe", "", e);
	if (r < 0 || !out->interp[0])
		return r;
	return add_needed(out, &a, self, e);
}
