/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/agent_proto.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>

void agent_put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

uint32_t agent_get_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void agent_put_u64(uint8_t *p, uint64_t v)
{
	agent_put_u32(p, (uint32_t)v);
	agent_put_u32(p + 4, (uint32_t)(v >> 32));
}

uint64_t agent_get_u64(const uint8_t *p)
{
	return agent_get_u32(p) | (uint64_t)agent_get_u32(p + 4) << 32;
}

bool agent_type_text(unsigned int type)
{
	return type == AGENT_CONFIG || type == AGENT_EXEC || type == AGENT_UPDATE ||
	       type == AGENT_DONE;
}

void agent_frame_header(uint8_t out[AGENT_HEADER], const struct agent_frame *f)
{
	agent_put_u32(out, f->len);
	agent_put_u32(out + 4, f->type | (uint32_t)f->flags << 16);
	agent_put_u32(out + 8, f->id);
	agent_put_u32(out + 12, f->arg);
}

int agent_frame_parse(const uint8_t *buf, size_t len, struct agent_frame *frame)
{
	struct agent_frame f;
	uint32_t kind;

	if (len < AGENT_HEADER)
		return 0;
	kind = agent_get_u32(buf + 4);
	f = (struct agent_frame){
		.len = agent_get_u32(buf),
		.type = (uint16_t)kind,
		.flags = (uint16_t)(kind >> 16),
		.id = agent_get_u32(buf + 8),
		.arg = agent_get_u32(buf + 12),
		.data = buf + AGENT_HEADER,
	};
	if (f.len > AGENT_FRAME_MAX || f.type == 0 || f.type >= AGENT_TYPES ||
	    f.flags & ~(AGENT_MORE | AGENT_TTY | AGENT_OOM_HIT))
		return -EPROTO;
	if (f.flags & AGENT_MORE && (f.len == 0 || !agent_type_text(f.type)))
		return -EPROTO;
	if (len - AGENT_HEADER < f.len)
		return 0;
	*frame = f;
	return (int)(AGENT_HEADER + f.len);
}

/* u32 code, u32 kind, text */
size_t agent_err_put(uint8_t *out, size_t size, const struct err *e)
{
	size_t len = strlen(e->msg);

	if (size < 8)
		return 0;
	if (len > size - 8)
		len = size - 8;
	agent_put_u32(out, (uint32_t)e->code);
	agent_put_u32(out + 4, (uint32_t)e->kind);
	memcpy(out + 8, e->msg, len);
	return 8 + len;
}

enum { ERRNO_LAST = 4095 };

int agent_err_get(const uint8_t *data, size_t len, struct err *e)
{
	uint32_t code = len < 8 ? 0 : agent_get_u32(data);
	uint32_t kind = len < 8 ? ERR_PLAIN : agent_get_u32(data + 4);
	size_t n = len < 8 ? 0 : len - 8;

	if (code < 1 || code > ERRNO_LAST)
		code = EPROTO;
	if (!e)
		return -(int)code;
	if (n >= sizeof(e->msg))
		n = sizeof(e->msg) - 1;
	e->code = (int)code;
	e->kind = kind <= ERR_USAGE ? (enum err_kind)kind : ERR_PLAIN;
	if (n)
		memcpy(e->msg, data + 8, n);
	e->msg[n] = '\0';
	str_clean(e->msg, n, '?');
	if (n == 0)
		err_set(e, e->code, "the guest's agent reports an error without a text");
	return -e->code;
}
