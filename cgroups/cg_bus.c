/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd-bus is used by its asynchronous half only: its blocking calls have deadlines of their own,
 * each from zero, and none while the bus says hello. Here one loop processes what comes and waits
 * no longer than the bus's deadline.
 */
#include "cgroups/cg_bus.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroups/cg_internal.h"
#include "cgroups/cg_sd.h"

#include <errno.h>
#include <stdio.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define MANAGER SYSTEMD ".Manager"
#define BUS "org.freedesktop.DBus"

struct cg_bus {
	struct cg_sd sd;
	struct sd_bus *bus;
	bool user, direct;               /* direct: to systemd itself, there is no bus in between */
	int64_t patience, deadline, end; /* of one answer in ms; of the next one; of them all */
	/* The last JobRemoved of the unit that a job is awaited for. */
	const char *unit; /* the caller's, the same for every job of this bus */
	char job[128], result[32];
};

void cg_bus_close(struct cg_bus *b)
{
	if (!b)
		return;
	if (b->bus) {
		b->sd.close(b->bus);
		b->sd.unref(b->bus);
	}
	free(b);
}

static void cleanup_bus(struct cg_bus **b)
{
	cg_bus_close(*b);
}

static const char *bus_name(const struct cg_bus *b)
{
	return b->direct ? "systemd's private socket"
	       : b->user ? "the user's bus"
			 : "the system bus";
}

static int bus_failed(const struct cg_bus *b, int code, struct err *e)
{
	return err_sys(e, code, "cgroup manager systemd: connect to %s", bus_name(b));
}

/* Sees every message. JobRemoved is (u id, o job, s unit, s result); 0 leaves a message to the
 * others. */
static int on_message(struct sd_bus_message *m, void *data, struct sd_bus_error *ret)
{
	struct cg_bus *b = data;
	const char *job, *unit, *result;
	uint32_t id;

	(void)ret;
	if (b->sd.message_is_signal(m, MANAGER, "JobRemoved") <= 0 ||
	    b->sd.message_read_basic(m, 'u', &id) <= 0 ||
	    b->sd.message_read_basic(m, 'o', &job) <= 0 ||
	    b->sd.message_read_basic(m, 's', &unit) <= 0 ||
	    b->sd.message_read_basic(m, 's', &result) <= 0)
		return 0;
	if (b->unit && str_eq(unit, b->unit)) {
		snprintf(b->job, sizeof(b->job), "%s", job);
		snprintf(b->result, sizeof(b->result), "%s", result);
	}
	return 0;
}

/*
 * systemd's own socket, for who has no message bus to reach it over: root, and a user with a
 * manager of his own. A path with characters that an address would have to escape is none of those
 * that systemd makes.
 */
static bool private_address(bool user, char *out, size_t size)
{
	static const char plain[] =
		"/-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *dir = user ? getenv("XDG_RUNTIME_DIR") : "/run";
	char path[128];

	if (getenv(user ? "DBUS_SESSION_BUS_ADDRESS" : "DBUS_SYSTEM_BUS_ADDRESS") || !dir ||
	    *dir != '/')
		return false;
	snprintf(path, sizeof(path), "%s%s", dir, user ? "/bus" : "/dbus/system_bus_socket");
	if (access(path, F_OK) == 0 || dir[strspn(dir, plain)])
		return false;
	if (snprintf(path, sizeof(path), "%s/systemd/private", dir) >= (int)sizeof(path) ||
	    access(path, W_OK) < 0)
		return false;
	snprintf(out, size, "unix:path=%s", path);
	return true;
}

static int open_any(struct cg_bus *b)
{
	char address[160];
	int r;

	if (!private_address(b->user, address, sizeof(address)))
		return b->user ? b->sd.open_user(&b->bus) : b->sd.open_system(&b->bus);
	b->direct = true;
	r = b->sd.new(&b->bus);
	if (r >= 0)
		r = b->sd.set_address(b->bus, address);
	return r < 0 ? r : b->sd.start(b->bus);
}

int cg_bus_open(bool user, int64_t patience, struct cg_bus **out, struct err *e)
{
	AUTO(cleanup_bus) struct cg_bus *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_sys(e, ENOMEM, "cgroup manager systemd");
	b->user = user;
	b->patience = patience;
	b->deadline = b->end = cg_now_ms() + 3 * patience;
	r = cg_sd_load(&b->sd, e);
	if (r < 0)
		return r;
	r = open_any(b);
	if (r < 0)
		return bus_failed(b, -r, e);
	*out = TAKE_PTR(b);
	return 0;
}

/* ---- calls ---- */

struct call {
	struct cg_bus *b;
	struct sd_bus_message *m, *reply;
	struct sd_bus_slot *slot;
	const char *what, *unit; /* for errors: "start unit" "x.scope" */
};

static void cleanup_call(struct call *c)
{
	const struct cg_sd *sd = &c->b->sd;

	/* The slot first: nothing may answer into a call that is gone. */
	if (c->slot)
		sd->slot_unref(c->slot);
	if (c->m)
		sd->message_unref(c->m);
	if (c->reply)
		sd->message_unref(c->reply);
}
#define AUTO_CALL AUTO(cleanup_call)

static int on_reply(struct sd_bus_message *m, void *data, struct sd_bus_error *ret)
{
	struct call *c = data;

	(void)ret;
	c->reply = c->b->sd.message_ref(m);
	return 0;
}

static int call_failed(const struct call *c, int code, const char *why, struct err *e)
{
	return err_set(e, code, "cgroup manager systemd: %s %s: %s", c->what, c->unit,
		       why ? why : strerrordesc_np(code));
}

/* One round of what comes over the bus. 0 or -errno, -ETIMEDOUT at the deadline. */
static int turn(struct cg_bus *b)
{
	int r = b->sd.process(b->bus, NULL);
	int64_t left;

	if (r != 0)
		return r < 0 ? r : 0;
	left = b->deadline - cg_now_ms();
	if (left <= 0)
		return -ETIMEDOUT;
	r = b->sd.wait(b->bus, (uint64_t)left * 1000);
	return r < 0 && r != -EINTR ? r : 0;
}

static int turn_failed(const struct call *c, int r, struct err *e)
{
	char text[128];

	if (r == -ETIMEDOUT)
		snprintf(text, sizeof(text), "no answer from systemd over %s within the deadline",
			 bus_name(c->b));
	else
		snprintf(text, sizeof(text), "%s: %s", bus_name(c->b), strerrordesc_np(-r));
	return call_failed(c, -r, text, e);
}

/* systemd's own names of errors first: the library does not know them. */
static int error_code(const struct cg_sd *sd, const struct sd_bus_error *err)
{
	static const struct {
		const char *name;
		int code;
	} known[] = {
		{ SYSTEMD ".UnitExists", EEXIST },
		{ SYSTEMD ".NoSuchUnit", ENOENT },
		{ SYSTEMD ".UnitMasked", EPERM },
		{ SYSTEMD ".NotSubscribed", EINVAL },
		{ "org.freedesktop.DBus.Error.PropertyReadOnly", EINVAL },
		{ "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", EACCES },
		{ "org.freedesktop.DBus.Error.NoReply",
		  ECONNRESET }, /* what sd-bus says for a lost connection */
	};
	int code;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(err->name, known[i].name))
			return known[i].code;
	code = sd->error_get_errno(err);
	return code > 0 ? code : EIO;
}

static int new_call(struct call *c, const char *member, struct err *e)
{
	int r = c->b->sd.message_new_method_call(c->b->bus, &c->m, SYSTEMD, OBJECT, MANAGER,
						 member);

	return r < 0 ? call_failed(c, -r, NULL, e) : 0;
}

/* Something has been answered: the next answer may take as long again. A bus that was too late once
 * stays so. */
static void renew(struct cg_bus *b)
{
	int64_t now = cg_now_ms();

	if (now < b->deadline)
		b->deadline = now + b->patience < b->end ? now + b->patience : b->end;
}

/* Sends c->m and waits for c->reply. */
static int do_call(struct call *c, struct err *e)
{
	struct cg_bus *b = c->b;
	const struct sd_bus_error *err;
	int r = b->sd.call_async(b->bus, &c->slot, c->m, on_reply, c, UINT64_MAX);

	renew(b);
	if (r < 0)
		return call_failed(c, -r, NULL, e);
	while (!c->reply) {
		r = turn(b);
		if (r < 0)
			return turn_failed(c, r, e);
	}
	err = b->sd.message_get_error(c->reply);
	return err ? call_failed(c, error_code(&b->sd, err),
				 err->message ? err->message : err->name, e)
		   : 0;
}

/* ---- messages ---- */

static int append_leaf(const struct cg_sd *sd, struct sd_bus_message *m, char type,
		       const union cg_leaf *l)
{
	uint8_t y = (uint8_t)l->u;
	uint16_t q = (uint16_t)l->u;
	uint32_t u = (uint32_t)l->u;
	int b = l->u != 0;

	switch (type) {
	case 'y':
		return sd->message_append_basic(m, type, &y);
	case 'b':
		return sd->message_append_basic(m, type, &b);
	case 'n':
	case 'q':
		return sd->message_append_basic(m, type, &q);
	case 'i':
	case 'u':
		return sd->message_append_basic(m, type, &u);
	case 'd':
		return sd->message_append_basic(m, type, &l->d);
	case 's':
	case 'o':
	case 'g':
		return sd->message_append_basic(m, type, l->s);
	default:
		return sd->message_append_basic(m, type, &l->u);
	}
}

static int append_element(const struct cg_sd *sd, struct sd_bus_message *m,
			  const struct cg_value *v, const union cg_leaf *leaf)
{
	int r = v->tuple ? sd->message_open_container(m, 'r', v->types) : 0;

	for (size_t i = 0; r >= 0 && v->types[i]; i++)
		r = append_leaf(sd, m, v->types[i], &leaf[i]);
	return r >= 0 && v->tuple ? sd->message_close_container(m) : r;
}

static int append_value(const struct cg_sd *sd, struct sd_bus_message *m, const struct cg_value *v)
{
	size_t each = strlen(v->types);
	char element[CG_VALUE_TYPES_MAX + 4], whole[CG_VALUE_TYPES_MAX + 5];
	int r;

	snprintf(element, sizeof(element), v->tuple ? "(%s)" : "%s", v->types);
	snprintf(whole, sizeof(whole), "%s%s", v->array ? "a" : "", element);
	r = sd->message_open_container(m, 'v', whole);
	if (r >= 0 && v->array)
		r = sd->message_open_container(m, 'a', element);
	for (size_t i = 0; r >= 0 && i + each <= v->n; i += each)
		r = append_element(sd, m, v, &v->v[i]);
	if (r >= 0 && v->array)
		r = sd->message_close_container(m);
	return r >= 0 ? sd->message_close_container(m) : r;
}

static int append_props(const struct call *c, const struct cg_props *p, struct err *e)
{
	const struct cg_sd *sd = &c->b->sd;
	int r = sd->message_open_container(c->m, 'a', "(sv)");

	if (r < 0)
		return call_failed(c, -r, NULL, e);
	for (size_t i = 0; i < p->n; i++) {
		r = sd->message_open_container(c->m, 'r', "sv");
		if (r >= 0)
			r = sd->message_append_basic(c->m, 's', p->v[i].name);
		if (r >= 0)
			r = append_value(sd, c->m, &p->v[i].value);
		if (r >= 0)
			r = sd->message_close_container(c->m);
		if (r < 0)
			return err_sys(e, -r, "cgroup manager systemd: %s %s: property %s", c->what,
				       c->unit, p->v[i].name);
	}
	r = sd->message_close_container(c->m);
	return r < 0 ? call_failed(c, -r, NULL, e) : 0;
}

static int append_strings(const struct call *c, const char *a, const char *b, struct err *e)
{
	int r = c->b->sd.message_append_basic(c->m, 's', a);

	if (r >= 0 && b)
		r = c->b->sd.message_append_basic(c->m, 's', b);
	return r < 0 ? call_failed(c, -r, NULL, e) : 0;
}

/* ---- jobs ---- */

/* c->reply names the job; its end may have been told before the reply has been looked at, never
 * before it came. */
static int await_job(struct call *c, struct err *e)
{
	struct cg_bus *b = c->b;
	const char *job;
	char text[64];
	int r = b->sd.message_read_basic(c->reply, 'o', &job);

	if (r <= 0)
		return call_failed(c, EPROTO, NULL, e);
	renew(b);
	while (!str_eq(b->job, job)) {
		r = turn(b);
		if (r < 0)
			return turn_failed(c, r, e);
	}
	if (str_eq(b->result, "done"))
		return 0;
	snprintf(text, sizeof(text), "systemd's job ended with \"%s\"", b->result);
	return call_failed(c, str_eq(b->result, "timeout") ? ETIMEDOUT : EIO, text, e);
}

/*
 * Who asked for a job is told of its end, without a subscription to everything else; and the bus
 * passes on only the end of this unit's jobs. sd-bus has no match of its own for that: it cannot
 * look behind an argument that is a number.
 */
static int expect_job(struct cg_bus *b, const char *unit, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "watch unit", .unit = unit };
	AUTO_FREE char *match = NULL;
	int r;

	b->job[0] = b->result[0] = '\0';
	if (b->unit)
		return 0;
	r = b->sd.add_filter(b->bus, NULL, on_message, b);
	if (r < 0)
		return call_failed(&c, -r, NULL, e);
	b->unit = unit;
	if (b->direct)
		return 0;
	match = str_printf("type='signal',sender='" SYSTEMD "',path='" OBJECT
			   "',interface='" MANAGER "',member='JobRemoved',arg2='%s'",
			   unit);
	r = !match ? -ENOMEM
		   : b->sd.message_new_method_call(b->bus, &c.m, BUS, "/org/freedesktop/DBus", BUS,
						   "AddMatch");
	if (r < 0)
		return call_failed(&c, -r, NULL, e);
	r = append_strings(&c, match, NULL, e);
	return r < 0 ? r : do_call(&c, e);
}

int cg_bus_start(struct cg_bus *b, const char *unit, const struct cg_props *props, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "start unit", .unit = unit };
	int r = new_call(&c, "StartTransientUnit", e);

	if (r == 0)
		r = append_strings(&c, unit, "replace", e);
	if (r == 0)
		r = append_props(&c, props, e);
	if (r < 0)
		return r;
	r = b->sd.message_open_container(c.m, 'a', "(sa(sv))");
	if (r >= 0)
		r = b->sd.message_close_container(c.m);
	if (r < 0)
		return call_failed(&c, -r, NULL, e);
	r = expect_job(b, unit, e);
	if (r == 0)
		r = do_call(&c, e);
	return r < 0 ? r : await_job(&c, e);
}

int cg_bus_set(struct cg_bus *b, const char *unit, const struct cg_props *props, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "set properties of unit", .unit = unit };
	const int runtime = 1;
	int r = new_call(&c, "SetUnitProperties", e);

	if (r == 0)
		r = append_strings(&c, unit, NULL, e);
	if (r == 0 && b->sd.message_append_basic(c.m, 'b', &runtime) < 0)
		r = call_failed(&c, ENOMEM, NULL, e);
	if (r == 0)
		r = append_props(&c, props, e);
	return r < 0 ? r : do_call(&c, e);
}

int cg_bus_attach(struct cg_bus *b, const char *unit, const char *sub, pid_t pid, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "put a process into unit", .unit = unit };
	const uint32_t u = (uint32_t)pid;
	int r = new_call(&c, "AttachProcessesToUnit", e);

	if (r == 0)
		r = append_strings(&c, unit, sub, e);
	if (r < 0)
		return r;
	r = b->sd.message_open_container(c.m, 'a', "u");
	if (r >= 0)
		r = b->sd.message_append_basic(c.m, 'u', &u);
	if (r >= 0)
		r = b->sd.message_close_container(c.m);
	return r < 0 ? call_failed(&c, -r, NULL, e) : do_call(&c, e);
}

int cg_bus_reset_failed(struct cg_bus *b, const char *unit, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "reset unit", .unit = unit };
	int r = new_call(&c, "ResetFailedUnit", e);

	if (r == 0)
		r = append_strings(&c, unit, NULL, e);
	if (r == 0)
		r = do_call(&c, e);
	return r == -ENOENT ? 0 : r;
}

int cg_bus_stop(struct cg_bus *b, const char *unit, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "stop unit", .unit = unit };
	int r = new_call(&c, "StopUnit", e);

	if (r == 0)
		r = append_strings(&c, unit, "replace", e);
	if (r == 0)
		r = expect_job(b, unit, e);
	if (r < 0)
		return r;
	r = do_call(&c, e);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = await_job(&c, e);
	return r < 0 ? r : cg_bus_reset_failed(b, unit, e);
}

/* ---- properties ---- */

static int get(struct call *c, const char *path, const char *interface, const char *prop,
	       const char **out, struct err *e)
{
	const struct cg_sd *sd = &c->b->sd;
	int r = sd->message_new_method_call(c->b->bus, &c->m, SYSTEMD, path,
					    "org.freedesktop.DBus.Properties", "Get");

	if (r < 0)
		return call_failed(c, -r, NULL, e);
	r = append_strings(c, interface, prop, e);
	if (r == 0)
		r = do_call(c, e);
	if (r < 0)
		return r;
	r = sd->message_enter_container(c->reply, 'v', "s");
	if (r > 0)
		r = sd->message_read_basic(c->reply, 's', out);
	return r <= 0 ? call_failed(c, EPROTO, NULL, e) : 0;
}

int cg_bus_version(struct cg_bus *b, int *version, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "ask for", .unit = "systemd's version" };
	const char *text;
	int r = get(&c, OBJECT, MANAGER, "Version", &text, e);

	if (r < 0)
		return r;
	/* "252.38-1~deb12u1", in old days "v239" and "systemd 219" */
	text += strcspn(text, "0123456789");
	*version = 0;
	while (*text >= '0' && *text <= '9' && *version < 100000)
		*version = *version * 10 + (*text++ - '0');
	return 0;
}

int cg_bus_cgroup(struct cg_bus *b, const char *unit, const char *type, char **out, struct err *e)
{
	AUTO_CALL struct call c = { .b = b, .what = "find the cgroup of unit", .unit = unit };
	AUTO_FREE char *path = NULL;
	char interface[64];
	const char *text;
	int r = b->sd.path_encode(OBJECT "/unit", unit, &path);

	if (r < 0)
		return call_failed(&c, -r, NULL, e);
	snprintf(interface, sizeof(interface), "%s.%s", SYSTEMD, type);
	r = get(&c, path, interface, "ControlGroup", &text, e);
	if (r < 0)
		return r;
	if (text[0] != '/' || !text[1])
		return call_failed(&c, ENOENT, "it has none", e);
	*out = strdup(text);
	return *out ? 0 : call_failed(&c, ENOMEM, NULL, e);
}
