/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "microvm/layout.h"
#include "microvm/platform.h"
#include "microvm/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct bus bus;
static struct serial s;
static int p[2];
static int events[3];

static void put(uint16_t port, uint8_t v)
{
	bus_write(&bus, port, &v, 1);
}

static uint8_t get(uint16_t port)
{
	uint8_t v;

	bus_read(&bus, port, &v, 1);
	return v;
}

#define UART(reg) (LAYOUT_PORT_SERIAL + (reg))

static int setup(void **state)
{
	(void)state;
	bus = (struct bus){};
	memset(events, 0, sizeof(events));
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	serial_init(&s, LAYOUT_PORT_SERIAL, p[1], eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	return bus_add(&bus, &s.bus);
}

static int teardown(void **state)
{
	(void)state;
	close(p[0]);
	close(p[1]);
	close(s.irq);
	return 0;
}

static bool rang(void)
{
	uint64_t n;

	return read(s.irq, &n, sizeof(n)) == sizeof(n);
}

static void test_output(void **state)
{
	char buf[8] = "";

	(void)state;
	put(UART(UART_TX), 'h');
	put(UART(UART_TX), 'i');
	assert_int_equal(read(p[0], buf, sizeof(buf)), 2);
	assert_string_equal(buf, "hi");
	assert_int_equal(get(UART(UART_LSR)), UART_LSR_TEMT | UART_LSR_THRE);
	assert_false(rang());
}

/* What nobody reads is lost, and the guest goes on. */
static void test_full_pipe(void **state)
{
	char buf[4096];
	size_t n = 0;
	ssize_t r;

	(void)state;
	for (int i = 0; i < 200000; i++)
		put(UART(UART_TX), 'x');
	while ((r = read(p[0], buf, sizeof(buf))) > 0)
		n += (size_t)r;
	assert_in_range(n, 4096, 199999);
}

static void test_interrupt(void **state)
{
	(void)state;
	assert_int_equal(get(UART(UART_IIR)) & 0x0f, UART_IIR_NO_INT);
	put(UART(UART_IER), UART_IER_THRI);
	assert_true(rang());
	assert_int_equal(get(UART(UART_IIR)) & 0x0f, UART_IIR_THRI);
	assert_int_equal(get(UART(UART_IIR)) & 0x0f, UART_IIR_NO_INT);
	put(UART(UART_TX), 'a');
	assert_true(rang());
	assert_int_equal(get(UART(UART_IIR)) & 0x0f, UART_IIR_THRI);
}

/* What a driver looks for: a scratch register, a FIFO, a divisor, a loop. */
static void test_probing(void **state)
{
	(void)state;
	put(UART(UART_SCR), 0x5a);
	assert_int_equal(get(UART(UART_SCR)), 0x5a);
	put(UART(UART_FCR), UART_FCR_ENABLE_FIFO);
	assert_int_equal(get(UART(UART_IIR)) >> 6, 3);
	put(UART(UART_LCR), UART_LCR_DLAB);
	put(UART(UART_DLL), 1);
	put(UART(UART_DLM), 2);
	assert_int_equal(get(UART(UART_DLL)), 1);
	assert_int_equal(get(UART(UART_DLM)), 2);
	put(UART(UART_LCR), 3);
	put(UART(UART_IER), 0xff);
	assert_int_equal(get(UART(UART_IER)), 0x0f);
	put(UART(UART_MCR), UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(get(UART(UART_MSR)) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	put(UART(UART_TX), 'l');
	assert_true(get(UART(UART_LSR)) & UART_LSR_DR);
	assert_int_equal(get(UART(UART_RX)), 'l');
	assert_false(get(UART(UART_LSR)) & UART_LSR_DR);
	assert_int_equal(read(p[0], &(char){ 0 }, 1), -1);
}

static void on_event(void *arg, enum platform_event ev)
{
	(void)arg;
	events[ev]++;
}

static void test_platform(void **state)
{
	struct platform pf;
	uint32_t wide = 0x35;

	(void)state;
	assert_int_equal(platform_init(&pf, &bus, on_event, NULL), 0);
	assert_int_equal(get(0x64), 1);
	put(0x64, 0xfe);
	assert_int_equal(events[PLATFORM_RESET], 1);
	put(0x64, 0xd1);
	put(0x60, 0xfe);
	put(LAYOUT_PORT_SLEEP + 2, 1);
	assert_int_equal(events[PLATFORM_RESET], 2);
	put(LAYOUT_PORT_SLEEP, 5 << 2);
	put(LAYOUT_PORT_SLEEP, 3 << 2 | 0x20);
	bus_write(&bus, LAYOUT_PORT_SLEEP, &wide, 2);
	assert_int_equal(events[PLATFORM_POWER_OFF], 0);
	put(LAYOUT_PORT_SLEEP, 5 << 2 | 0x20);
	assert_int_equal(events[PLATFORM_POWER_OFF], 1);
	assert_int_equal(get(LAYOUT_PORT_PANIC), 1);
	put(LAYOUT_PORT_PANIC, 2);
	put(LAYOUT_PORT_PANIC, 1);
	assert_int_equal(events[PLATFORM_PANIC], 1);
}

static void test_bus(void **state)
{
	struct bus_dev other = { .base = LAYOUT_PORT_SERIAL + 7, .size = 1 };
	uint32_t v = 0;

	(void)state;
	assert_int_equal(bus_add(&bus, &other), -EEXIST);
	bus_read(&bus, 0x1234, &v, 4);
	assert_int_equal(v, 0xffffffff);
	bus_write(&bus, 0x1234, &v, 4);
	/* Half inside, or of a length that nobody has. */
	bus_read(&bus, LAYOUT_PORT_SERIAL + 6, &v, 4);
	assert_int_equal(v, 0xffffffff);
	v = 0;
	bus_read(&bus, LAYOUT_PORT_SERIAL, &v, 3);
	assert_int_equal(v, 0x00ffffff);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_output),  T(test_full_pipe), T(test_interrupt),
		T(test_probing), T(test_platform),  T(test_bus),
	};

	return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
