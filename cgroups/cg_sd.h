/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsystemd, loaded when it is first needed. The few prototypes are declared here, so that ctr
 * builds without its headers and starts without the library.
 */
#ifndef CTR_CGROUPS_CG_SD_H
#define CTR_CGROUPS_CG_SD_H

#include "base/err.h"

#include <stdint.h>

struct sd_bus;
struct sd_bus_message;
struct sd_bus_slot;
struct sd_bus_error {
	const char *name, *message;
	int need_free;
};
typedef int (*sd_handler)(struct sd_bus_message *, void *,
			  struct sd_bus_error *); /* as the library wants it */

#define CG_SD_FUNCTIONS(F)                                                                      \
	F(int, open_system, (struct sd_bus **))                                                 \
	F(int, open_user, (struct sd_bus **))                                                   \
	F(int, new, (struct sd_bus **))                                                         \
	F(int, set_address, (struct sd_bus *, const char *))                                    \
	F(int, start, (struct sd_bus *))                                                        \
	F(void, close, (struct sd_bus *))                                                       \
	F(struct sd_bus *, unref, (struct sd_bus *))                                            \
	F(int, process, (struct sd_bus *, struct sd_bus_message **))                            \
	F(int, wait, (struct sd_bus *, uint64_t))                                               \
	F(int, call_async,                                                                      \
	  (struct sd_bus *, struct sd_bus_slot **, struct sd_bus_message *, sd_handler, void *, \
	   uint64_t))                                                                           \
	F(int, add_filter, (struct sd_bus *, struct sd_bus_slot **, sd_handler, void *))        \
	F(int, message_is_signal, (struct sd_bus_message *, const char *, const char *))        \
	F(struct sd_bus_slot *, slot_unref, (struct sd_bus_slot *))                             \
	F(int, message_new_method_call,                                                         \
	  (struct sd_bus *, struct sd_bus_message **, const char *, const char *, const char *, \
	   const char *))                                                                       \
	F(int, message_append_basic, (struct sd_bus_message *, char, const void *))             \
	F(int, message_open_container, (struct sd_bus_message *, char, const char *))           \
	F(int, message_close_container, (struct sd_bus_message *))                              \
	F(int, message_enter_container, (struct sd_bus_message *, char, const char *))          \
	F(int, message_read_basic, (struct sd_bus_message *, char, void *))                     \
	F(const struct sd_bus_error *, message_get_error, (struct sd_bus_message *))            \
	F(int, error_get_errno, (const struct sd_bus_error *))                                  \
	F(struct sd_bus_message *, message_ref, (struct sd_bus_message *))                      \
	F(struct sd_bus_message *, message_unref, (struct sd_bus_message *))                    \
	F(int, path_encode, (const char *, const char *, char **))

struct cg_sd {
#define CG_SD_MEMBER(type, name, args) type(*name) args;
	CG_SD_FUNCTIONS(CG_SD_MEMBER)
#undef CG_SD_MEMBER
};

/* Fills in every function, or says which one is missing. */
int cg_sd_load(struct cg_sd *sd, struct err *e);

#endif
