/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/serial.h"

#include <linux/serial_reg.h>
#include <string.h>
#include <unistd.h>

static void raise_irq(struct serial *s)
{
	const uint64_t one = 1;

	if (s->irq >= 0 && write(s->irq, &one, sizeof(one)) < 0)
		return; /* the counter is full: an interrupt is pending all the same */
}

/*
 * The transmitter is always empty again at once. Its interrupt is raised when it becomes empty and
 * when the driver asks for it while it is, and is gone once the driver has seen the cause.
 */
static void thr_empty(struct serial *s)
{
	s->thr_pending = true;
	if (s->ier & UART_IER_THRI)
		raise_irq(s);
}

static void send_byte(struct serial *s, uint8_t b)
{
	if (s->mcr & UART_MCR_LOOP) {
		s->loop = b;
		s->loop_full = true;
		return;
	}
	/* A full pipe loses the byte: the guest must not be able to make us wait or grow. */
	if (write(s->out, &b, 1) < 0)
		return;
}

static uint8_t cause(struct serial *s)
{
	const uint8_t fifo = s->fifo ? 0xc0 : 0;

	if (s->loop_full && (s->ier & UART_IER_RDI))
		return fifo | UART_IIR_RDI;
	if (s->thr_pending && (s->ier & UART_IER_THRI)) {
		s->thr_pending = false;
		return fifo | UART_IIR_THRI;
	}
	return fifo | UART_IIR_NO_INT;
}

/* With the loop closed the modem's inputs show its outputs: how a driver tells a UART from none. */
static uint8_t modem_status(const struct serial *s)
{
	if (!(s->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	return (s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
	       (s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
	       (s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static uint8_t get(struct serial *s, uint64_t reg)
{
	const bool divisor = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		if (divisor)
			return s->dll;
		s->loop_full = false;
		return s->loop;
	case UART_IER:
		return divisor ? s->dlm : s->ier;
	case UART_IIR:
		return cause(s);
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE | (s->loop_full ? UART_LSR_DR : 0);
	case UART_MSR:
		return modem_status(s);
	default:
		return s->scr;
	}
}

static void set_ier(struct serial *s, uint8_t v)
{
	const bool asked = (v & UART_IER_THRI) && !(s->ier & UART_IER_THRI);

	s->ier = v & 0x0f;
	if (asked)
		thr_empty(s);
}

static void put(struct serial *s, uint64_t reg, uint8_t v)
{
	const bool divisor = s->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (divisor) {
			s->dll = v;
			break;
		}
		send_byte(s, v);
		thr_empty(s);
		break;
	case UART_IER:
		if (divisor)
			s->dlm = v;
		else
			set_ier(s, v);
		break;
	case UART_FCR:
		s->fifo = v & UART_FCR_ENABLE_FIFO;
		break;
	case UART_LCR:
		s->lcr = v;
		break;
	case UART_MCR:
		s->mcr = v & 0x1f;
		break;
	case UART_SCR:
		s->scr = v;
		break;
	}
}

static void serial_read(struct bus_dev *d, uint64_t off, void *data, unsigned int len)
{
	struct serial *s = (struct serial *)d;

	if (len != 1)
		return;
	pthread_mutex_lock(&s->lock);
	*(uint8_t *)data = get(s, off);
	pthread_mutex_unlock(&s->lock);
}

static void serial_write(struct bus_dev *d, uint64_t off, const void *data, unsigned int len)
{
	struct serial *s = (struct serial *)d;

	if (len != 1)
		return;
	pthread_mutex_lock(&s->lock);
	put(s, off, *(const uint8_t *)data);
	pthread_mutex_unlock(&s->lock);
}

void serial_init(struct serial *s, uint64_t base, int out, int irq)
{
	*s = (struct serial){
		.bus = { .read = serial_read, .write = serial_write, .base = base, .size = 8 },
		.out = out,
		.irq = irq,
	};
	pthread_mutex_init(&s->lock, NULL);
}
