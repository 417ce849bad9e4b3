/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field table engine. Each object of the specification is one table: a row names a JSON field,
 * its kind, where its value goes, and which values are allowed. The walker checks, converts, and
 * reports what is wrong as "DOCUMENT: PATH: REASON".
 *
 * An absent field leaves its place zeroed; so does a JSON null. A string field that is not required
 * and is given as "" counts as absent: writers that do not leave fields out mean that by it.
 * Fields without a row are ignored, as the specification says.
 */
#ifndef CTR_OCI_SPEC_FIELD_H
#define CTR_OCI_SPEC_FIELD_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/table.h"
#include "oci/json.h"
#include "oci/spec.h"

/*
 * For `ctr check`: every mistake is told instead of the first one ending the walk, and every field
 * that is present. What is wrong is left zeroed in its object, so that the others can be looked at.
 */
struct field_watch {
	struct json_report problem;
	void (*present)(void *arg, const char *field); /* "linux.devices[].path"; may be NULL */
};

struct field_step {
	const char *key; /* NULL: an array element */
	size_t index;
	bool any; /* the key is the user's, not a field's name */
};

struct field_ctx {
	struct arena *arena;
	const char *what; /* the document, in errors */
	struct err *e;
	const struct field_watch *watch; /* NULL: the first mistake is the error */
	size_t depth;
	struct field_step path[JSON_MAX_DEPTH + 2];
};

enum field_kind {
	FIELD_STRING,     /* char * */
	FIELD_CHAR,       /* char: a string of one character out of .chars */
	FIELD_BOOL,       /* bool */
	FIELD_OPT_BOOL,   /* struct opt_bool */
	FIELD_INT,        /* int; .min .max */
	FIELD_U32,        /* uint32_t */
	FIELD_I64,        /* int64_t */
	FIELD_U64,        /* uint64_t */
	FIELD_OPT_I64,    /* struct opt_i64 */
	FIELD_OPT_U64,    /* struct opt_u64 */
	FIELD_NAME,       /* int or uint32_t: the value of a name of .names */
	FIELD_NAME64,     /* uint64_t: the same */
	FIELD_FLAGS,      /* uint64_t: an array of names, their values or-ed */
	FIELD_OPT_FLAGS,  /* struct opt_u64: the same, and an empty array is not none */
	FIELD_MASK,       /* struct opt_u64: an array of names, bit VALUE set for each */
	FIELD_STRINGS,    /* struct spec_strings; each element passes .check and .names if given */
	FIELD_U32S,       /* { uint32_t *v; size_t n; } */
	FIELD_MAP,        /* struct spec_map; each key passes .check if given */
	FIELD_OBJECT,     /* the struct of .sub, in place */
	FIELD_OBJECT_PTR, /* a pointer to a fresh struct of .sub */
	FIELD_LIST,       /* { struct x *v; size_t n; } from an array of .sub objects */
	FIELD_KEYED,  /* the same from an object; the key goes to the char * that x begins with */
	FIELD_CUSTOM, /* .custom does it */
	FIELD_KINDS,
};

struct field_table;

struct field {
	const char *name;
	enum field_kind kind;
	bool required;
	size_t offset;
	size_t min_items; /* of an array */
	int64_t min;      /* min == max == 0: whatever the kind holds */
	uint64_t max;
	const struct field_table *sub; /* of a custom row: only for spec_each_field */
	bool each;                     /* of a custom row: an array of sub objects */
	const struct name_table *names;
	const char *chars;
	const char *(*check)(const char *text); /* NULL: fine; otherwise the reason */
	int (*custom)(struct field_ctx *c, const struct json *v, void *dst);
};

struct field_table {
	const struct field *rows;
	size_t n;
	size_t size; /* of the struct */
	/* Rules inside one object; may be NULL. Not called when one of its own rows was wrong. */
	int (*finish)(struct field_ctx *c, void *obj);
};

#define FIELD_TABLE(type, array) .rows = (array), .n = ARRAY_SIZE(array), .size = sizeof(type)

/* Fills obj (zeroed, table->size bytes) from o. 0, -EINVAL or -ENOMEM with the error set. */
int field_object(struct field_ctx *c, const struct field_table *t, const struct json *o, void *obj);

/* The whole of a document: parses text and fills obj. */
int field_document(struct arena *a, const char *what, const char *text, size_t len,
		   const struct field_table *t, void *obj, struct err *e);

/* The same, watched: only what is no JSON at all, or no object, is an error. */
int field_document_watch(struct arena *a, const char *what, const char *text, size_t len,
			 const struct field_table *t, void *obj, const struct field_watch *watch,
			 struct err *e);

/* For custom rows. The steps need not be taken back when an error is returned. */
void field_enter_key(struct field_ctx *c, const char *key);
void field_enter_index(struct field_ctx *c, size_t index);
void field_leave(struct field_ctx *c);
int field_expect(struct field_ctx *c, const struct json *v, enum json_type type);
int field_no_memory(struct field_ctx *c);

/*
 * After an element or a rule failed with r: 0 when the walk goes on, at the place where it had
 * depth steps; r otherwise.
 */
int field_go_on(struct field_ctx *c, size_t depth, int r);

/* field_error, and the walk goes on if it can: several rules of one object in a row. */
int field_note(struct field_ctx *c, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "DOCUMENT: PATH: FMT"; -EINVAL. field (may be NULL) is a member of the place where the walk is.
 */
int field_error(struct field_ctx *c, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Checks for rows. */
const char *field_absolute(const char *s);
const char *field_not_empty(const char *s);
const char *field_assignment(const char *s); /* NAME=VALUE */
const char *field_cpu_list(const char *s);
const char *field_one_line(const char *s);

/* The tables of the subtrees. */
extern const struct field_table spec_table; /* the whole, struct spec */
extern const struct field_table spec_process_table;
extern const struct field_table spec_mount_table;
extern const struct field_table spec_idmap_table;
extern const struct field_table spec_hooks_table;
extern const struct field_table spec_linux_table;
extern const struct field_table spec_resources_table;
extern const struct field_table spec_seccomp_table;
extern const struct field_table spec_vm_table;

#endif
