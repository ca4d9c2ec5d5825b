/* plan: receiving and checking what the configuration child sends. */
#include "plan.h"

#include "descriptor_pass.h"
#include "memory.h"

#include <errno.h>
#include <unistd.h>

bool plan_send(int socket, const struct plan_packet *packet, int descriptor) {
    return descriptor_pass(socket, str_make((const char *)packet, sizeof *packet), descriptor, 0) ==
           (ssize_t)sizeof *packet;
}

static ssize_t receive_packet(int socket, struct plan_packet *packet, int *descriptor) {
    struct iovec part = {.iov_base = packet, .iov_len = sizeof *packet};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); got >= 0 && header != NULL;
         header = CMSG_NXTHDR(&message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
            memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return got;
}

static bool text_ends(const char *text, size_t size) { return memchr(text, '\0', size) != NULL; }

/* A name that may be a file below a directory of ours. */
static bool is_file_name(const char *name) {
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static bool row_is_sound(const struct plan_row *row) {
    if (!text_ends(row->name, sizeof row->name) || !text_ends(row->program, sizeof row->program) ||
        !text_ends(row->log_tag, sizeof row->log_tag) || !text_ends(row->peers, sizeof row->peers))
        return false;
    if (row->listen > PLAN_LISTEN_STREAM || row->stop_phase >= PLAN_STOP_PHASES ||
        row->endpoint_count > PLAN_ENDPOINT_LIMIT)
        return false;
    if (row->listen == PLAN_LISTEN_PACKET || row->listen == PLAN_LISTEN_STREAM)
        if (!is_file_name(row->name))
            return false;
    return is_file_name(row->program);
}

static bool settings_are_sound(const struct plan_settings *settings) {
    return text_ends(settings->queue_directory, sizeof settings->queue_directory) &&
           text_ends(settings->daemon_directory, sizeof settings->daemon_directory) &&
           text_ends(settings->config_directory, sizeof settings->config_directory) &&
           text_ends(settings->syslog_name, sizeof settings->syslog_name) &&
           text_ends(settings->version, sizeof settings->version) && settings->queue_directory[0] == '/' &&
           settings->daemon_directory[0] == '/' && settings->stop_time >= 0 && settings->throttle_time >= 0 &&
           settings->stop_time < INT32_MAX && settings->throttle_time < INT32_MAX;
}

static bool add_row(struct plan *plan, const struct plan_row *row, int *descriptor) {
    if (plan->count >= PLAN_ROW_LIMIT || *descriptor < 0 || !row_is_sound(row))
        return false;
    plan->rows = memory_resize(plan->rows, plan->count + 1, sizeof *plan->rows);
    plan->configurations = memory_resize(plan->configurations, plan->count + 1, sizeof *plan->configurations);
    plan->rows[plan->count] = *row;
    plan->configurations[plan->count++] = *descriptor;
    *descriptor = -1;
    return true;
}

bool plan_paths_have(const struct plan_paths *paths, struct str path) {
    for (size_t i = 0; i < paths->count; i++)
        if (str_equal(str_from(paths->paths[i]), path))
            return true;
    return false;
}

void plan_paths_free(struct plan_paths *paths) {
    for (size_t i = 0; i < paths->count; i++)
        MEMORY_FREE(paths->paths[i]);
    MEMORY_FREE(paths->paths);
    *paths = (struct plan_paths){0};
}

/* Several rows may name the same. */
static bool add_path(struct plan_paths *paths, const char *path) {
    if (path[0] == '\0' || strlen(path) >= sizeof ((struct sockaddr_un *)0)->sun_path)
        return false;
    if (plan_paths_have(paths, str_from(path)))
        return true;
    if (paths->count >= PLAN_PATH_LIMIT)
        return false;
    paths->paths = memory_resize(paths->paths, paths->count + 1, sizeof *paths->paths);
    paths->paths[paths->count++] = memory_copy_string(str_from(path));
    return true;
}

bool plan_receive(int socket, struct plan *plan, plan_report *report, void *argument, struct failure *failure) {
    struct plan_packet *packet = MEMORY_NEW(struct plan_packet);
    int descriptor;
    ssize_t got = receive_packet(socket, packet, &descriptor);
    bool more = false;
    if (got < 0) {
        if (errno == EAGAIN)
            more = true;
        else
            failure_set_errno(failure, errno, "the configuration could not be received");
    } else if (got != (ssize_t)sizeof *packet) {
        failure_set(failure, "the process that reads the configuration ended before its time");
    } else {
        bool sound = false; /* what is no packet of ours stays so */
        switch ((enum plan_packet_type)packet->type) {
        case PLAN_SETTINGS:
            sound = settings_are_sound(&packet->u.settings);
            plan->settings = packet->u.settings;
            break;
        case PLAN_ROW:
            sound = add_row(plan, &packet->u.row, &descriptor);
            break;
        case PLAN_PROBLEM:
        case PLAN_WARNING:
            sound = text_ends(packet->u.text, sizeof packet->u.text);
            if (sound)
                report(packet->type == PLAN_PROBLEM, packet->u.text, argument);
            plan->refused = plan->refused || packet->type == PLAN_PROBLEM;
            break;
        case PLAN_PATH:
            sound = text_ends(packet->u.text, sizeof packet->u.text) && add_path(&plan->sockets, packet->u.text);
            break;
        case PLAN_END:
            plan->complete = !plan->refused && plan->settings.queue_directory[0] != '\0';
            if (!plan->complete)
                failure_set(failure, "the configuration is not usable");
            MEMORY_FREE(packet);
            return false;
        }
        if (!sound)
            failure_set(failure, "the process that reads the configuration sent something unsound");
        more = sound;
    }
    if (descriptor >= 0)
        close(descriptor);
    MEMORY_FREE(packet);
    return more;
}

void plan_free(struct plan *plan) {
    for (size_t i = 0; i < plan->count; i++)
        if (plan->configurations[i] >= 0)
            close(plan->configurations[i]);
    MEMORY_FREE(plan->rows);
    MEMORY_FREE(plan->configurations);
    plan_paths_free(&plan->sockets);
    *plan = (struct plan){0};
}
