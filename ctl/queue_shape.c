/* Ages by domain: see queue_shape.h. */
#include "queue_shape.h"
#include "memory.h"

struct queue_shape_row {
    char *domain; /* a parent's begins with a dot */
    uint64_t counts[QUEUE_SHAPE_BUCKETS], all;
    uint64_t below; /* parent: domains below */
};

void queue_shape_begin(struct queue_shape *shape) {
    shape->domains = map_create();
}

static struct queue_shape_row *row_of(struct map *rows, struct str domain) {
    struct queue_shape_row *row = map_get(rows, domain);
    if (row) return row;
    row = MEMORY_NEW(struct queue_shape_row);
    row->domain = memory_copy_string(domain);
    map_put(rows, domain, row);
    return row;
}

/* Upper bound in minutes of a bucket but the last. */
static int64_t bound(const struct queue_shape *shape, unsigned bucket) {
    return shape->linear ? shape->first_minutes * (int64_t)(bucket + 1) : shape->first_minutes << bucket;
}

static unsigned bucket_of(const struct queue_shape *shape, int64_t age_seconds) {
    unsigned bucket = 0;
    while (bucket + 1 < shape->buckets && age_seconds >= bound(shape, bucket) * 60)
        bucket++;
    return bucket;
}

static void lower_domain(struct str address, char text[256]) {
    size_t at = str_find_last(address, '@'), length = 0;
    struct str domain = at == STR_NONE ? STR_EMPTY : str_from_offset(address, at + 1);
    for (; length < domain.length && length < 255; length++) {
        char c = ascii_lower(domain.data[length]);
        text[length] = (unsigned char)c <= 0x20 || c == 0x7F ? '?' : c;
    }
    text[length] = '\0';
    if (length == 0) snprintf(text, 256, "%s", address.length ? "localhost" : "MAILER-DAEMON");
}

void queue_shape_add(struct queue_shape *shape, struct str address, int64_t age_seconds) {
    char domain[256];
    unsigned bucket = bucket_of(shape, age_seconds);
    lower_domain(address, domain);
    struct queue_shape_row *row = row_of(shape->domains, str_from(domain));
    row->counts[bucket]++;
    row->all++;
    shape->total[bucket]++;
    shape->all++;
}

/* ---- rows for parents: what stands below each dot */

static void add_to_parent(struct map *parents, const char *parent, const struct queue_shape_row *row,
                          unsigned buckets) {
    struct queue_shape_row *above = row_of(parents, str_from(parent));
    for (unsigned i = 0; i < buckets; i++)
        above->counts[i] += row->counts[i];
    above->all += row->all;
    above->below++;
}

static struct map *make_parents(const struct queue_shape *shape) {
    struct map *parents = map_create();
    size_t at = 0;
    struct str name;
    void *value;
    while (map_next(shape->domains, &at, &name, &value)) {
        const struct queue_shape_row *row = value;
        for (const char *dot = strchr(row->domain, '.'); dot && dot[1]; dot = strchr(dot + 1, '.'))
            if (strchr(dot + 1, '.')) add_to_parent(parents, dot, row, shape->buckets); /* not for top-level domains */
    }
    return parents;
}

/* ---- the table */

static int compare_rows(const void *a, const void *b) {
    const struct queue_shape_row *x = *(struct queue_shape_row *const *)a, *y = *(struct queue_shape_row *const *)b;
    if (x->all != y->all) return x->all > y->all ? -1 : 1;
    return str_compare(str_from(x->domain), str_from(y->domain));
}

static size_t collect(const struct map *rows, uint64_t minimum, struct queue_shape_row **sorted) {
    size_t at = 0, count = 0;
    struct str name;
    void *value;
    while (map_next(rows, &at, &name, &value)) {
        struct queue_shape_row *row = value;
        if (row->below >= minimum) sorted[count++] = row;
    }
    return count;
}

struct columns {
    int domain, all, bucket[QUEUE_SHAPE_BUCKETS];
    char heading[QUEUE_SHAPE_BUCKETS][24];
};

static int digits(uint64_t number) {
    return snprintf(NULL, 0, "%llu", (unsigned long long)number);
}

static void measure(const struct queue_shape *shape, struct columns *columns) {
    int used = columns->all = digits(shape->all);
    for (unsigned i = 0; i < shape->buckets; i++) {
        bool last = i + 1 == shape->buckets;
        snprintf(columns->heading[i], sizeof columns->heading[i], "%lld%s", (long long)bound(shape, last ? i - 1 : i),
                 last ? "+" : "");
        int heading = (int)strlen(columns->heading[i]), number = digits(shape->total[i]);
        columns->bucket[i] = heading > number ? heading : number;
        used += columns->bucket[i] + 1;
    }
    int room = (int)shape->width - used - 1;
    columns->domain = room < 12 ? 12 : room;
}

/* A name that is too long shows its end. */
static void append_name(const struct columns *columns, const char *name, struct buf *out) {
    int length = (int)strlen(name);
    if (length <= columns->domain)
        buf_printf(out, "%*s", columns->domain, name);
    else
        buf_printf(out, "+%s", name + (length - columns->domain + 1));
}

static void append_row(const struct queue_shape *shape, const struct columns *columns, const char *name, uint64_t all,
                       const uint64_t *counts, struct buf *out) {
    append_name(columns, name, out);
    buf_printf(out, " %*llu", columns->all, (unsigned long long)all);
    for (unsigned i = 0; i < shape->buckets; i++)
        buf_printf(out, " %*llu", columns->bucket[i], (unsigned long long)counts[i]);
    buf_append_char(out, '\n');
}

static void free_rows(struct map **rows) {
    size_t at = 0;
    struct str name;
    void *value;
    while (map_next(*rows, &at, &name, &value)) {
        struct queue_shape_row *row = value;
        MEMORY_FREE(row->domain);
        MEMORY_FREE(row);
    }
    map_destroy(rows);
}

void queue_shape_format(struct queue_shape *shape, struct buf *out) {
    struct columns columns;
    struct map *parents = shape->parents ? make_parents(shape) : map_create();
    struct queue_shape_row **sorted =
        memory_allocate(map_count(shape->domains) + map_count(parents) + 1, sizeof *sorted);
    size_t count = collect(shape->domains, 0, sorted);
    count += collect(parents, shape->parent_minimum, sorted + count);
    qsort(sorted, count, sizeof *sorted, compare_rows);
    measure(shape, &columns);
    buf_printf(out, "%*s %*s", columns.domain, "", columns.all, "T");
    for (unsigned i = 0; i < shape->buckets; i++)
        buf_printf(out, " %*s", columns.bucket[i], columns.heading[i]);
    buf_append_char(out, '\n');
    append_row(shape, &columns, "TOTAL", shape->all, shape->total, out);
    for (size_t i = 0; i < count; i++)
        append_row(shape, &columns, sorted[i]->domain, sorted[i]->all, sorted[i]->counts, out);
    MEMORY_FREE(sorted);
    free_rows(&parents);
}

void queue_shape_end(struct queue_shape *shape) {
    free_rows(&shape->domains);
}
