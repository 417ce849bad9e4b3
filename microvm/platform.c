/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/platform.h"

#include "microvm/layout.h"

#include <stdbool.h>

enum {
	I8042_DATA = 0, /* offsets from LAYOUT_PORT_I8042 */
	I8042_STATUS = 4,
	I8042_RESET = 0xfe,
	I8042_FULL = 1,
	SLEEP_CONTROL = 0, /* offsets from LAYOUT_PORT_SLEEP */
	SLEEP_STATUS = 1,
	SLEEP_RESET = 2,
	SLEEP_ENABLE = 1 << 5,
	SLEEP_TYPE_S5 = 5,
	PANIC_PANICKED = 1,
};

static void say(struct bus_dev *d, enum platform_event ev)
{
	struct platform *p = ((struct platform_port *)d)->platform;

	p->event(p->arg, ev);
}

/*
 * There is no keyboard controller but its reset line. "There is a byte for you, and room for a
 * command" makes a driver that looks for one give up at once (it never gets to the last byte), and
 * who wants a reset does not wait.
 */
static void i8042_read(struct bus_dev *d, uint64_t off, void *data, unsigned int len)
{
	(void)d;
	if (len == 1 && off == I8042_STATUS)
		*(uint8_t *)data = I8042_FULL;
}

static void i8042_write(struct bus_dev *d, uint64_t off, const void *data, unsigned int len)
{
	if (len == 1 && off == I8042_STATUS && *(const uint8_t *)data == I8042_RESET)
		say(d, PLATFORM_RESET);
}

static void sleep_read(struct bus_dev *d, uint64_t off, void *data, unsigned int len)
{
	(void)d;
	(void)off;
	if (len == 1)
		*(uint8_t *)data = 0;
}

static void sleep_write(struct bus_dev *d, uint64_t off, const void *data, unsigned int len)
{
	const uint8_t v = *(const uint8_t *)data;

	if (len != 1)
		return;
	if (off == SLEEP_RESET)
		say(d, PLATFORM_RESET);
	else if (off == SLEEP_CONTROL && (v & SLEEP_ENABLE) && (v >> 2 & 7) == SLEEP_TYPE_S5)
		say(d, PLATFORM_POWER_OFF);
}

/* Reading tells which events the device takes. */
static void panic_read(struct bus_dev *d, uint64_t off, void *data, unsigned int len)
{
	(void)d;
	(void)off;
	if (len == 1)
		*(uint8_t *)data = PANIC_PANICKED;
}

static void panic_write(struct bus_dev *d, uint64_t off, const void *data, unsigned int len)
{
	(void)off;
	if (len == 1 && (*(const uint8_t *)data & PANIC_PANICKED))
		say(d, PLATFORM_PANIC);
}

int platform_init(struct platform *p, struct bus *ports, void (*event)(void *, enum platform_event),
		  void *arg)
{
	struct platform_port *v[] = { &p->i8042, &p->sleep, &p->panic };

	*p = (struct platform){
		.event = event,
		.arg = arg,
		.i8042.bus = { i8042_read, i8042_write, LAYOUT_PORT_I8042, 5 },
		.sleep.bus = { sleep_read, sleep_write, LAYOUT_PORT_SLEEP, 3 },
		.panic.bus = { panic_read, panic_write, LAYOUT_PORT_PANIC, 1 },
	};
	for (size_t i = 0; i < 3; i++) {
		int r = bus_add(ports, &v[i]->bus);

		if (r < 0)
			return r;
		v[i]->platform = p;
	}
	return 0;
}
