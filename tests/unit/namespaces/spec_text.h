/* SPDX-License-Identifier: Apache-2.0 */
/* A spec and its mount plan from the parts of a config.json that a test cares about. */
#ifndef CTR_TESTS_SPEC_TEXT_H
#define CTR_TESTS_SPEC_TEXT_H

#include "base/str.h"
#include "namespaces/mount_plan.h"
#include "oci/spec.h"

/* mounts: the text of the array; linux_: the text of the object's members, with single quotes for
 * double ones. */
static inline struct spec *spec_text(const char *mounts, const char *linux_, const char *root)
{
	struct err e = { 0 };
	struct spec *s = NULL;
	char *text =
		str_printf("{'ociVersion':'1.0.2','root':{'path':'rootfs'%s},'mounts':[%s],"
			   "'process':{'args':['/bin/true'],'cwd':'/','user':{'uid':0,'gid':0}},"
			   "'linux':{'namespaces':[{'type':'mount'},{'type':'pid'}%s]%s%s}}",
			   root ? root : "", mounts,
			   strstr(linux_, "uidMappings") ? ",{'type':'user'}" : "",
			   linux_[0] ? "," : "", linux_);

	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (spec_parse(text, strlen(text), &s, &e) < 0)
		fprintf(stderr, "spec: %s: %s\n", e.msg, text);
	free(text);
	return s;
}

#endif
