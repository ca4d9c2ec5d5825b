/* Waiting for descriptors.
 *
 * Each descriptor that tasks wait on has two libev watchers. The read watcher is
 * left running between waits: the usual session reads, works, answers and reads
 * again, and then no call tells the kernel anything but the poll itself. The
 * write watcher is stopped as soon as it fires, since a socket is nearly always
 * writable. */
#include <poll.h>

#include "loop_internal.h"
#include "memory.h"

static void reader_came(struct ev_loop *ev, ev_io *io, int events) {
    struct descriptor *entry = (struct descriptor *)io->data;

    (void)events;
    if (!entry->readers.first)
        ev_io_stop(ev, io);
    else
        task_queue_wake_all(&entry->readers);
}

static void writer_came(struct ev_loop *ev, ev_io *io, int events) {
    struct descriptor *entry = (struct descriptor *)io->data;

    (void)events;
    ev_io_stop(ev, io);
    task_queue_wake_all(&entry->writers);
}

static struct descriptor *entry_of(struct loop *loop, int descriptor) {
    size_t index = (size_t)descriptor;
    struct descriptor *entry;

    if (index >= loop->descriptor_count) {
        size_t count = loop->descriptor_count ? loop->descriptor_count : 64;
        while (count <= index) count *= 2;
        loop->descriptors = memory_resize(loop->descriptors, count, sizeof(*loop->descriptors));
        for (size_t i = loop->descriptor_count; i < count; i++) loop->descriptors[i] = NULL;
        loop->descriptor_count = count;
    }
    entry = loop->descriptors[index];
    if (!entry) {
        entry = MEMORY_NEW(struct descriptor);
        ev_io_init(&entry->reader, reader_came, descriptor, EV_READ);
        ev_io_init(&entry->writer, writer_came, descriptor, EV_WRITE);
        entry->reader.data = entry;
        entry->writer.data = entry;
        loop->descriptors[index] = entry;
    }
    return entry;
}

static enum wait_result wait_by_poll(int descriptor, short events, deadline until) {
    struct pollfd one = {.fd = descriptor, .events = events};

    for (;;) {
        int64_t left = deadline_left(until);
        int count = poll(&one, 1, until == DEADLINE_NEVER ? -1 : left > 1000000 ? 1000000 : (int)left);
        if (count > 0) return WAIT_READY;
        if (left == 0) return WAIT_TIMEOUT;
    }
}

enum wait_result task_wait_readable(int descriptor, deadline until) {
    struct loop *loop = loop_current();
    struct descriptor *entry;

    if (descriptor < 0) return WAIT_READY; /* the read that follows says EBADF */
    if (!loop || !loop->running) return wait_by_poll(descriptor, POLLIN, until);
    entry = entry_of(loop, descriptor);
    if (!ev_is_active(&entry->reader)) {
        ev_io_start(loop->ev, &entry->reader);
        entry->told = true;
    }
    return task_suspend(&entry->readers, until);
}

enum wait_result task_wait_writable(int descriptor, deadline until) {
    struct loop *loop = loop_current();
    struct descriptor *entry;

    if (descriptor < 0) return WAIT_READY;
    if (!loop || !loop->running) return wait_by_poll(descriptor, POLLOUT, until);
    entry = entry_of(loop, descriptor);
    if (!ev_is_active(&entry->writer)) {
        ev_io_start(loop->ev, &entry->writer);
        entry->told = true;
    }
    return task_suspend(&entry->writers, until);
}

/* The number may soon mean another file. ev_io_set makes libev tell the kernel
 * anew at the next start, and the kernel is told now, since the open file lives on
 * if it was handed to another process. Who still waits is woken to find out. */
void task_forget_descriptor(int descriptor) {
    struct loop *loop = loop_current();
    struct descriptor *entry;

    if (!loop || descriptor < 0 || (size_t)descriptor >= loop->descriptor_count) return;
    entry = loop->descriptors[descriptor];
    if (!entry || !entry->told) return;
    ev_io_stop(loop->ev, &entry->reader);
    ev_io_stop(loop->ev, &entry->writer);
    ev_io_set(&entry->reader, descriptor, EV_READ);
    ev_io_set(&entry->writer, descriptor, EV_WRITE);
    entry->told = false;
    loop_unregister(loop, descriptor);
    task_queue_wake_all(&entry->readers);
    task_queue_wake_all(&entry->writers);
}

bool descriptor_has_waits(struct loop *loop, int descriptor) {
    return (size_t)descriptor < loop->descriptor_count && loop->descriptors[descriptor] && loop->descriptors[descriptor]->told;
}

void descriptors_clear(struct loop *loop) {
    for (size_t i = 0; i < loop->descriptor_count; i++) {
        struct descriptor *entry = loop->descriptors[i];
        if (!entry) continue;
        ev_io_stop(loop->ev, &entry->reader);
        ev_io_stop(loop->ev, &entry->writer);
        MEMORY_FREE(entry);
    }
    MEMORY_FREE(loop->descriptors);
    loop->descriptor_count = 0;
}
