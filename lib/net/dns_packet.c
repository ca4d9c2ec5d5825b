/* Building and reading DNS messages. The walk over the sections and all checks
 * of names and lengths are ours; libldns decodes the records that matter. */
#include <ldns/ldns.h>
#include "dns_packet.h"

enum {
    HEADER_LENGTH = 12,
    WIRE_NAME_LIMIT = 255,
    WIRE_POINTER_LIMIT = 128,
    TYPE_SOA = 6,
    TYPE_OPT = 41,
    CLASS_IN = 1,
    RCODE_NO_ERROR = 0,
    RCODE_NO_NAME = 3,
};

/* ---- names in text */

static bool name_byte_allowed(char c) { return c > ' ' && c < 0x7f && c != '.' && c != '\\'; }

bool dns_name_set(struct dns_name *name, struct str text) {
    struct dns_name made;
    size_t label = 0;
    if (text.length > 0 && text.data[text.length - 1] == '.') text.length--;
    if (text.length == 0 || text.length > DNS_NAME_LIMIT) return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
        } else if (!name_byte_allowed(c) || ++label > LDNS_MAX_LABELLEN) {
            return false;
        }
        made.text[i] = ascii_lower(c);
    }
    if (label == 0) return false;
    made.text[text.length] = '\0';
    made.length = text.length;
    *name = made;
    return true;
}

bool dns_name_is_host(struct str name) {
    bool letters = false;
    struct dns_name checked;
    if (!dns_name_set(&checked, name)) return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        if (!ascii_is_alnum(c) && c != '-' && c != '_' && c != '.') return false;
        if (!ascii_is_digit(c) && c != '.') letters = true;
    }
    return letters;
}

const char *dns_type_name(enum dns_type type) {
    switch (type) {
    case DNS_A: return "A";
    case DNS_CNAME: return "CNAME";
    case DNS_PTR: return "PTR";
    case DNS_MX: return "MX";
    case DNS_TXT: return "TXT";
    case DNS_AAAA: return "AAAA";
    case DNS_SRV: return "SRV";
    case DNS_TLSA: return "TLSA";
    }
    return "unknown";
}

const char *dns_rcode_name(unsigned rcode) {
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    if (rcode < ARRAY_LENGTH(names)) return names[rcode];
    return rcode == 9 ? "NOTAUTH" : rcode == 16 ? "BADVERS" : "RCODE";
}

/* ---- the question */

bool dns_packet_query(const struct dns_question *question, uint16_t id, bool edns, struct buf *wire) {
    ldns_rdf *owner = ldns_dname_new_frm_str(question->name.text);
    if (!owner) return false;
    /* On success the packet owns the name. */
    ldns_pkt *packet = ldns_pkt_query_new(owner, (ldns_rr_type)question->type, LDNS_RR_CLASS_IN, LDNS_RD);
    if (!packet) {
        ldns_rdf_deep_free(owner);
        return false;
    }
    uint8_t *bytes = NULL;
    size_t length = 0;
    ldns_pkt_set_id(packet, id);
    ldns_pkt_set_ad(packet, true); /* RFC 6840 section 5.7: we know what AD means */
    if (edns) {
        ldns_pkt_set_edns_udp_size(packet, DNS_UDP_PAYLOAD);
        ldns_pkt_set_edns_do(packet, true);
    }
    bool built = ldns_pkt2wire(&bytes, packet, &length) == LDNS_STATUS_OK;
    if (built) built = buf_append_bytes(wire, bytes, length);
    free(bytes);
    ldns_pkt_free(packet);
    return built;
}

/* ---- walking over the wire form */

struct walk {
    const uint8_t *wire;
    size_t length;
    size_t at;
};

struct wire_record {
    size_t start; /* of its owner name */
    size_t data, data_length;
    uint16_t type, class;
    uint32_t ttl;
};

static uint16_t wire_u16(const uint8_t *bytes) { return (uint16_t)(bytes[0] << 8 | bytes[1]); }
static uint32_t wire_u32(const uint8_t *bytes) { return (uint32_t)wire_u16(bytes) << 16 | wire_u16(bytes + 2); }

/* Checks the name at `at`, through its compression pointers (each must point
 * before the piece that it stands in, so that there is no loop), and gives the
 * offset after it. */
static bool wire_name_end(const struct walk *walk, size_t at, size_t *end) {
    size_t piece = at, total = 0, after = 0;
    unsigned pointers = 0;
    for (;;) {
        if (at >= walk->length) return false;
        uint8_t size = walk->wire[at];
        if (size >= 0xc0) {
            if (at + 2 > walk->length || ++pointers > WIRE_POINTER_LIMIT) return false;
            size_t target = wire_u16(walk->wire + at) & 0x3fff;
            if (target >= piece || target < HEADER_LENGTH) return false;
            if (after == 0) after = at + 2;
            piece = at = target;
            continue;
        }
        if (size > LDNS_MAX_LABELLEN) return false;
        total += size + 1u;
        if (total > WIRE_NAME_LIMIT) return false;
        at += size + 1u;
        if (size == 0) break;
    }
    *end = after ? after : at;
    return true;
}

/* Takes the next record of a section. */
static bool walk_record(struct walk *walk, struct wire_record *record) {
    size_t fixed;
    if (!wire_name_end(walk, walk->at, &fixed)) return false;
    if (fixed > walk->length || walk->length - fixed < 10) return false;
    const uint8_t *bytes = walk->wire + fixed;
    size_t data_length = wire_u16(bytes + 8);
    if (walk->length - fixed - 10 < data_length) return false;
    *record = (struct wire_record){.start = walk->at,
                                   .data = fixed + 10,
                                   .data_length = data_length,
                                   .type = wire_u16(bytes),
                                   .class = wire_u16(bytes + 2),
                                   .ttl = wire_u32(bytes + 4)};
    if (record->type != TYPE_OPT && record->ttl > INT32_MAX) record->ttl = 0; /* RFC 2181 section 8 */
    walk->at = record->data + data_length;
    return true;
}

/* Names in the data must end where the data ends, with `before` bytes of other
 * fields ahead of `names` names and `behind` after them. */
static bool data_names_fit(const struct walk *walk, const struct wire_record *record, size_t before, unsigned names,
                           size_t behind) {
    size_t end = record->data + record->data_length, at = record->data + before;
    if (record->data_length < before + behind) return false;
    while (names-- > 0) {
        if (at >= end || !wire_name_end(walk, at, &at)) return false;
    }
    return at <= end && end - at == behind;
}

static bool text_fits(const struct walk *walk, const struct wire_record *record) {
    size_t at = 0;
    while (at < record->data_length) at += walk->wire[record->data + at] + 1u;
    return at == record->data_length && at > 0;
}

static bool data_fits(const struct walk *walk, const struct wire_record *record) {
    switch (record->type) {
    case DNS_A: return record->data_length == 4;
    case DNS_AAAA: return record->data_length == 16;
    case DNS_CNAME:
    case DNS_PTR: return data_names_fit(walk, record, 0, 1, 0);
    case DNS_MX: return data_names_fit(walk, record, 2, 1, 0);
    case DNS_SRV: return data_names_fit(walk, record, 6, 1, 0);
    case DNS_TXT: return text_fits(walk, record);
    case DNS_TLSA: return record->data_length > 3;
    case TYPE_SOA: return data_names_fit(walk, record, 0, 2, 20);
    }
    return false;
}

/* The record by libldns; the caller frees it. NULL if it cannot be read. */
static ldns_rr *decode(const struct walk *walk, const struct wire_record *record, ldns_pkt_section section) {
    ldns_rr *rr = NULL;
    size_t at = record->start;
    if (!data_fits(walk, record)) return NULL;
    if (ldns_wire2rr(&rr, walk->wire, walk->length, &at, section) != LDNS_STATUS_OK) return NULL;
    return rr;
}

/* ---- from libldns to our records */

/* The text of an uncompressed name; false if it has bytes that we do not pass on. The root gives "". */
static bool name_from_rdf(const ldns_rdf *rdf, struct dns_name *name) {
    if (!rdf || ldns_rdf_get_type(rdf) != LDNS_RDF_TYPE_DNAME) return false;
    const uint8_t *wire = ldns_rdf_data(rdf);
    size_t length = ldns_rdf_size(rdf), at = 0;
    struct buf text = buf_make(WIRE_NAME_LIMIT);
    bool good = true;
    while (good && at < length && wire[at] != 0) {
        size_t size = wire[at++];
        if (size > length - at) good = false;
        for (size_t i = 0; good && i < size; i++) good = name_byte_allowed((char)wire[at + i]);
        if (!good) break;
        buf_append_bytes(&text, wire + at, size);
        buf_append_char(&text, '.');
        at += size;
    }
    if (good && text.length == 0) {
        *name = (struct dns_name){.length = 0};
    } else if (good) {
        good = !buf_overflowed(&text) && dns_name_set(name, buf_str(&text));
    }
    buf_free(&text);
    return good;
}

struct kept {
    struct dns_name owner;
    struct dns_record record;
    bool usable; /* false: a target that is no host name */
};

static bool keep_name(const ldns_rr *rr, size_t field, struct arena *arena, struct kept *kept) {
    struct dns_name name;
    const ldns_rdf *rdf = ldns_rr_rdf(rr, field);
    kept->usable = name_from_rdf(rdf, &name);
    if (!kept->usable) return true;
    if (kept->record.type != DNS_CNAME) { /* an alias may have any name; a host may not */
        bool root = name.length == 0;
        kept->usable = root ? kept->record.type != DNS_PTR : dns_name_is_host(dns_name_str(&name));
    } else {
        kept->usable = name.length > 0;
    }
    return arena_copy(arena, dns_name_str(&name), &kept->record.name);
}

/* TXT: the strings joined (RFC 7208 section 3.3). TLSA: the fields as they stand. */
static bool keep_data(const struct walk *walk, const struct wire_record *from, struct arena *arena, struct kept *kept) {
    const uint8_t *data = walk->wire + from->data;
    if (from->type != DNS_TXT) {
        return arena_copy(arena, str_make((const char *)data, from->data_length), &kept->record.data);
    }
    struct buf joined = buf_make(0);
    for (size_t at = 0; at < from->data_length; at += data[at] + 1u) buf_append_bytes(&joined, data + at + 1, data[at]);
    bool copied = arena_copy(arena, buf_str(&joined), &kept->record.data);
    buf_free(&joined);
    return copied;
}

static bool keep_address(const ldns_rr *rr, struct kept *kept) {
    const ldns_rdf *rdf = ldns_rr_rdf(rr, 0);
    struct endpoint *address = &kept->record.address;
    if (!rdf) return false;
    if (kept->record.type == DNS_A && ldns_rdf_size(rdf) == 4) {
        address->address.ipv4.sin_family = AF_INET;
        memcpy(&address->address.ipv4.sin_addr, ldns_rdf_data(rdf), 4);
        address->length = sizeof address->address.ipv4;
    } else if (kept->record.type == DNS_AAAA && ldns_rdf_size(rdf) == 16) {
        address->address.ipv6.sin6_family = AF_INET6;
        memcpy(&address->address.ipv6.sin6_addr, ldns_rdf_data(rdf), 16);
        address->length = sizeof address->address.ipv6;
    } else {
        return false;
    }
    return true;
}

static uint16_t rdf_u16(const ldns_rr *rr, size_t field) {
    const ldns_rdf *rdf = ldns_rr_rdf(rr, field);
    return rdf && ldns_rdf_size(rdf) == 2 ? ldns_rdf2native_int16(rdf) : 0;
}

static bool keep_fields(const struct walk *walk, const struct wire_record *from, const ldns_rr *rr,
                        struct arena *arena, struct kept *kept) {
    kept->record.type = (enum dns_type)from->type;
    kept->record.ttl = from->ttl;
    kept->record.name = kept->record.data = STR_EMPTY;
    kept->usable = true;
    switch (kept->record.type) {
    case DNS_A:
    case DNS_AAAA: return keep_address(rr, kept);
    case DNS_CNAME:
    case DNS_PTR: return keep_name(rr, 0, arena, kept);
    case DNS_MX: kept->record.preference = rdf_u16(rr, 0); return keep_name(rr, 1, arena, kept);
    case DNS_SRV:
        kept->record.preference = rdf_u16(rr, 0);
        kept->record.weight = rdf_u16(rr, 1);
        kept->record.port = rdf_u16(rr, 2);
        return keep_name(rr, 3, arena, kept);
    case DNS_TXT:
    case DNS_TLSA: return keep_data(walk, from, arena, kept);
    }
    return false;
}

/* ---- reading an answer */

struct reading {
    struct walk walk;
    const struct dns_question *question;
    struct arena *arena;
    struct dns_response *response;
    struct kept *kept; /* grown with memory_resize */
    size_t count;
    bool has_soa, authoritative, recursive;
    uint32_t soa_ttl;
    struct dns_name soa_owner;
};

/* The answer section's records of the question's type and its aliases. */
static bool read_answers(struct reading *reading, unsigned records) {
    size_t room = 0;
    while (records-- > 0) {
        struct wire_record wire;
        if (!walk_record(&reading->walk, &wire)) return false;
        if (wire.class != CLASS_IN || (wire.type != (uint16_t)reading->question->type && wire.type != DNS_CNAME))
            continue;
        if (reading->count == DNS_RECORD_LIMIT) continue;
        if (reading->count == room) {
            room = room ? room * 2 : 8;
            reading->kept = memory_resize(reading->kept, room, sizeof *reading->kept);
        }
        struct kept *kept = &reading->kept[reading->count];
        memset(kept, 0, sizeof *kept);
        ldns_rr *rr = decode(&reading->walk, &wire, LDNS_SECTION_ANSWER);
        if (!rr) return false;
        bool owner_readable = name_from_rdf(ldns_rr_owner(rr), &kept->owner);
        bool read = !owner_readable || keep_fields(&reading->walk, &wire, rr, reading->arena, kept);
        ldns_rr_free(rr);
        if (!read) return false;
        if (owner_readable) reading->count++; /* other owners cannot be what was asked for */
    }
    return true;
}

/* The SOA, whose TTL and last field bound how long a "no" is kept (RFC 2308 section 5). */
static bool read_authority(struct reading *reading, unsigned records) {
    while (records-- > 0) {
        struct wire_record wire;
        if (!walk_record(&reading->walk, &wire)) return false;
        if (wire.class != CLASS_IN || wire.type != TYPE_SOA || reading->has_soa) continue;
        ldns_rr *rr = decode(&reading->walk, &wire, LDNS_SECTION_AUTHORITY);
        if (!rr) return false;
        reading->has_soa = name_from_rdf(ldns_rr_owner(rr), &reading->soa_owner);
        ldns_rr_free(rr);
        uint32_t minimum = wire_u32(reading->walk.wire + wire.data + wire.data_length - 4);
        if (minimum > INT32_MAX) minimum = 0;
        reading->soa_ttl = minimum < wire.ttl ? minimum : wire.ttl;
    }
    return true;
}

/* EDNS0's OPT, for the upper bits of the response code (RFC 6891 section 6.1.3). */
static bool read_additional(struct reading *reading, unsigned records) {
    while (records-- > 0) {
        struct wire_record wire;
        if (!walk_record(&reading->walk, &wire)) return false;
        if (wire.type == TYPE_OPT) reading->response->rcode |= wire.ttl >> 24 << 4;
    }
    return true;
}

static bool name_is_below(const struct dns_name *name, const struct dns_name *zone) {
    if (zone->length == 0) return true;
    if (!str_ends(dns_name_str(name), dns_name_str(zone))) return false;
    return name->length == zone->length || name->text[name->length - zone->length - 1] == '.';
}

static void lower_ttl(uint32_t *ttl, uint32_t other) {
    if (other < *ttl) *ttl = other;
}

/* Goes along the aliases in the packet to the last name that it speaks of. False on one that cannot be followed. */
static bool follow_aliases(const struct reading *reading, struct dns_name *name, uint32_t *ttl, unsigned *aliases) {
    while (reading->question->type != DNS_CNAME && *aliases <= DNS_ALIAS_LIMIT) {
        const struct kept *alias = NULL;
        for (size_t i = 0; i < reading->count && !alias; i++) {
            const struct kept *kept = &reading->kept[i];
            if (kept->record.type == DNS_CNAME && str_equal(dns_name_str(&kept->owner), dns_name_str(name)))
                alias = kept;
        }
        if (!alias) return true;
        if (!alias->usable || !dns_name_set(name, alias->record.name)) return false;
        lower_ttl(ttl, alias->record.ttl);
        ++*aliases;
    }
    return true;
}

/* Copies out the records of the name. */
static bool collect(const struct reading *reading, const struct dns_name *name, uint32_t *ttl) {
    struct dns_response *response = reading->response;
    size_t matching = 0, usable = 0;
    struct dns_record *records = arena_allocate(reading->arena, reading->count + 1, sizeof *records);
    if (!records) return false;
    for (size_t i = 0; i < reading->count; i++) {
        const struct kept *kept = &reading->kept[i];
        if (kept->record.type != reading->question->type) continue;
        if (!str_equal(dns_name_str(&kept->owner), dns_name_str(name))) continue;
        matching++;
        lower_ttl(ttl, kept->record.ttl);
        if (kept->usable) records[usable++] = kept->record;
    }
    /* A pointer to nonsense is like none; a mail exchanger of nonsense must not pass for "no MX". */
    if (matching > 0 && usable == 0 && reading->question->type != DNS_PTR) return false;
    response->records = records;
    response->count = usable;
    return true;
}

static enum dns_packet_result conclude_negative(struct reading *reading, const struct dns_name *name, uint32_t ttl) {
    struct dns_response *response = reading->response;
    bool soa = reading->has_soa && name_is_below(name, &reading->soa_owner);
    if (response->rcode == RCODE_NO_NAME) {
        response->outcome = DNS_OUTCOME_NO_NAME;
    } else if (response->aliases > 0 && !soa) {
        response->outcome = DNS_OUTCOME_ALIAS;
        response->ttl = ttl;
        return DNS_PACKET_ANSWER;
    } else {
        response->outcome = DNS_OUTCOME_NO_DATA;
    }
    /* Neither the zone's own server nor a resolver: it does not know. */
    if (!reading->authoritative && !reading->recursive && response->aliases == 0) return DNS_PACKET_REFUSED;
    lower_ttl(&ttl, soa ? reading->soa_ttl : 0);
    response->ttl = ttl;
    return DNS_PACKET_ANSWER;
}

static enum dns_packet_result conclude(struct reading *reading) {
    struct dns_response *response = reading->response;
    struct dns_name name = reading->question->name;
    uint32_t ttl = INT32_MAX;
    if (!follow_aliases(reading, &name, &ttl, &response->aliases)) return DNS_PACKET_MALFORMED;
    if (response->aliases > DNS_ALIAS_LIMIT) return DNS_PACKET_ANSWER;
    if (!arena_copy(reading->arena, dns_name_str(&name), &response->name)) return DNS_PACKET_MALFORMED;
    if (!collect(reading, &name, &ttl)) return DNS_PACKET_MALFORMED;
    if (response->count == 0) return conclude_negative(reading, &name, ttl);
    response->outcome = DNS_OUTCOME_FOUND;
    response->ttl = ttl;
    return DNS_PACKET_ANSWER;
}

/* True if the question section is exactly our question. */
static bool question_matches(struct walk *walk, const struct dns_question *question) {
    size_t end, at = walk->at;
    ldns_rdf *rdf = NULL;
    struct dns_name name;
    if (!wire_name_end(walk, at, &end) || walk->length - end < 4) return false;
    if (wire_u16(walk->wire + end) != (uint16_t)question->type || wire_u16(walk->wire + end + 2) != CLASS_IN)
        return false;
    if (ldns_wire2dname(&rdf, walk->wire, walk->length, &at) != LDNS_STATUS_OK) return false;
    bool same = name_from_rdf(rdf, &name) && str_equal(dns_name_str(&name), dns_name_str(&question->name));
    ldns_rdf_deep_free(rdf);
    walk->at = end + 4;
    return same;
}

static enum dns_packet_result read_sections(struct reading *reading) {
    const uint8_t *header = reading->walk.wire;
    struct dns_response *response = reading->response;
    if (!read_answers(reading, wire_u16(header + 6)) || !read_authority(reading, wire_u16(header + 8)) ||
        !read_additional(reading, wire_u16(header + 10)))
        return DNS_PACKET_MALFORMED;
    if (response->rcode != RCODE_NO_ERROR && response->rcode != RCODE_NO_NAME) return DNS_PACKET_REFUSED;
    return conclude(reading);
}

enum dns_packet_result dns_packet_parse(struct str bytes, const struct dns_question *question, uint16_t id,
                                        struct arena *arena, struct dns_response *response) {
    struct dns_response read = {.name = STR_EMPTY};
    struct reading reading = {.walk = {(const uint8_t *)bytes.data, bytes.length, HEADER_LENGTH},
                              .question = question,
                              .arena = arena,
                              .response = &read};
    const uint8_t *header = reading.walk.wire;
    if (bytes.length < HEADER_LENGTH || bytes.length > UINT16_MAX) return DNS_PACKET_FOREIGN;
    bool is_response = (header[2] & 0x80) != 0, is_query = (header[2] & 0x78) == 0, truncated = (header[2] & 0x02) != 0;
    if (wire_u16(header) != id || !is_response || !is_query) return DNS_PACKET_FOREIGN;
    read.rcode = header[3] & 0x0f;
    read.authentic = (header[3] & 0x20) != 0;
    reading.authoritative = (header[2] & 0x04) != 0;
    reading.recursive = (header[3] & 0x80) != 0;
    bool refused = read.rcode != RCODE_NO_ERROR && read.rcode != RCODE_NO_NAME;
    unsigned questions = wire_u16(header + 4);
    /* Servers that could not read the question may leave it out (RFC 6891 section 7). */
    bool nothing_but_refusal = refused && questions == 0;
    if (!nothing_but_refusal && (questions != 1 || !question_matches(&reading.walk, question)))
        return DNS_PACKET_FOREIGN;
    enum dns_packet_result result;
    if (truncated) {
        result = DNS_PACKET_TRUNCATED;
    } else if (refused) {
        result = DNS_PACKET_REFUSED;
    } else {
        result = read_sections(&reading);
    }
    free(reading.kept);
    if (result == DNS_PACKET_ANSWER || result == DNS_PACKET_REFUSED) *response = read;
    return result;
}
