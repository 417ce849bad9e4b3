/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/virtio_dev.h"

int virtio_dev_serve(struct virtio_dev *d, unsigned int qi, struct virtq_chain *c,
		     int (*serve)(struct virtio_dev *d, struct virtq *q))
{
	struct virtq *q = &d->q[qi];
	int r = 0, n = 0;

	while (n < VIRTIO_BUDGET && (r = virtq_pop(q, c)) > 0) {
		r = serve(d, q);
		if (r < 0)
			break;
		n++;
	}
	virtio_dev_notify(d, qi);
	if (r < 0)
		virtio_dev_fail(d);
	else if (n == VIRTIO_BUDGET)
		virtio_dev_again(d, qi);
	return r < 0 ? r : 0;
}

static void on_event(struct loop_watch *lw, uint32_t events)
{
	struct virtio_watch *w = (struct virtio_watch *)lw;

	pthread_mutex_lock(&w->dev->lock);
	/* What the driver's reset left behind, or an event that was on its way then. */
	if (!w->dev->active)
		virtio_watch_set(w, 0);
	else if (w->events)
		w->fn(w->dev, events);
	pthread_mutex_unlock(&w->dev->lock);
}

int virtio_watch_set(struct virtio_watch *w, uint32_t events)
{
	struct loop *l = w->dev->loop;
	int r;

	/* Hanging up is reported without being asked for: without a wish, no watch. */
	if (events == w->events)
		return 0;
	w->watch.fn = on_event;
	if (events == 0)
		r = loop_del(l, w->fd);
	else if (w->added)
		r = loop_mod(l, w->fd, events, &w->watch);
	else
		r = loop_add(l, w->fd, events, &w->watch);
	if (r == 0) {
		w->events = events;
		w->added = events != 0;
	}
	return r;
}
