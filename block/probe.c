/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image signatures. A table of all formats that programs are known to probe,
 * whether or not we have a driver: an image of a foreign format is refused and
 * not taken for raw, and a guest cannot turn its guessed-raw disk into one (see
 * formats/raw.c). Any thread; the bytes are not trusted.
 */
#include "util/osdep.h"
#include "block/block-int.h"

typedef struct Signature {
    const char *format;
    const char *magic;
    uint8_t len;
    uint8_t version_offset;     /* 0: none */
    uint8_t version_min, version_max;
} Signature;

#define SIGNATURE(f, m) { .format = (f), .magic = (m), .len = sizeof(m) - 1 }

static const Signature signatures[] = {
    { "qcow2", "QFI\xfb", 4, 7, 2, 255 },
    { "qcow", "QFI\xfb", 4, 7, 1, 1 },
    SIGNATURE("qed", "QED\0"),
    SIGNATURE("vmdk", "KDMV"),
    SIGNATURE("vmdk", "COWD"),
    SIGNATURE("vmdk", "# Disk DescriptorFile"),
    SIGNATURE("vhdx", "vhdxfile"),
    SIGNATURE("vpc", "conectix"),
    SIGNATURE("luks", "LUKS\xba\xbe"),
    SIGNATURE("parallels", "WithoutFreeSpace"),
    SIGNATURE("parallels", "WithouFreSpacExt"),
    SIGNATURE("bochs", "Bochs Virtual HD Image"),
    SIGNATURE("cloop", "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
};

const char *block_probe_format(const uint8_t *buf, size_t len)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(signatures); i++) {
        const Signature *s = &signatures[i];

        if (len < s->len || memcmp(buf, s->magic, s->len)) {
            continue;
        }
        if (s->version_offset &&
            (len <= s->version_offset || buf[s->version_offset] < s->version_min ||
             buf[s->version_offset] > s->version_max)) {
            continue;
        }
        return s->format;
    }
    /* VDI: a text of any content in front, the magic number at 64. */
    if (len >= 68 && !memcmp(buf + 64, "\x7f\x10\xda\xbe", 4)) {
        return "vdi";
    }
    return NULL;
}
