/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Image encryption over a header in memory: creation, opening, key slots, hostile headers. */
#include "util/osdep.h"
#include "crypto/block.h"
#include "qom/object.h"
#include "util/bswap.h"

#define HEADER_MAX (3 * MIB)

typedef struct Disk {
    uint8_t *bytes;
    size_t room;
    unsigned writes;
} Disk;

static bool disk_read(void *opaque, uint64_t offset, void *buf, size_t len, Error **errp)
{
    Disk *d = opaque;

    if (offset > d->room || len > d->room - offset) {
        error_setg(errp, "beyond the end");
        return false;
    }
    memcpy(buf, d->bytes + offset, len);
    return true;
}

static bool disk_write(void *opaque, uint64_t offset, const void *buf, size_t len, Error **errp)
{
    Disk *d = opaque;

    g_assert_cmpuint(offset + len, <=, d->room);
    memcpy(d->bytes + offset, buf, len);
    d->writes++;
    return true;
}

static bool disk_make_room(void *opaque, uint64_t len, Error **errp)
{
    Disk *d = opaque;

    g_assert_cmpuint(len, <=, HEADER_MAX);
    d->bytes = g_realloc(d->bytes, len);
    memset(d->bytes, 0, len);
    d->room = len;
    return true;
}

static const CryptoBlockHeaderIo io = { disk_read, disk_write, disk_make_room };

static CryptoBlock *create(Disk *d, const char *options, Error **errp)
{
    g_autoptr(JsonValue) v = keyval_parse(options, NULL, NULL, &error_abort);
    g_autoptr(QCryptoBlockCreateOptions) o = qapi_decode(&qapi_type_QCryptoBlockCreateOptions, v, &error_abort);

    return crypto_block_create(o, "", &io, d, 0, errp);
}

static CryptoBlock *open_with(Disk *d, const char *secret, unsigned flags, Error **errp)
{
    QCryptoBlockOpenOptions o = { .format = Q_CRYPTO_BLOCK_FORMAT_LUKS, .u.luks.key_secret = (char *)secret };

    return crypto_block_open(&o, "", &io, d, flags, errp);
}

static void assert_error_clear(Error **err, const char *message)
{
    g_assert_nonnull(*err);
    g_assert_cmpstr(error_message(*err), ==, message);
    g_clear_pointer(err, error_free);
}
#define assert_error(err, message) assert_error_clear(&(err), message)

static void test_algorithms(void)
{
    static const struct {
        const char *options;
        uint64_t payload;
    } cases[] = {
        { "", 2068480 },
        { ",cipher-alg=aes-128,cipher-mode=xts", 1052672 },
        { ",cipher-alg=aes-192,cipher-mode=cbc", 790528 },
        { ",cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv", 528384 },
        { ",cipher-alg=aes-256,cipher-mode=cbc,ivgen-alg=essiv,ivgen-hash-alg=md5,hash-alg=sha512", 1052672 },
        { ",cipher-alg=aes-128,cipher-mode=ecb,hash-alg=sha1", 528384 },
        { ",cipher-alg=aes-128,cipher-mode=ctr,ivgen-alg=plain", 528384 },
        { ",cipher-alg=cast5-128,cipher-mode=cbc,ivgen-alg=plain64,hash-alg=ripemd160", 528384 },
        { ",cipher-alg=serpent-256,cipher-mode=xts", 2068480 },
        { ",cipher-alg=twofish-128,cipher-mode=xts,ivgen-alg=plain", 1052672 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *options = g_strdup_printf("format=luks,key-secret=a,iter-time=1%s", cases[i].options);
        g_autofree uint8_t *data = g_malloc(8192), *plain = g_malloc(8192);
        g_autoptr(CryptoBlock) made = NULL, opened = NULL;
        Disk d = { 0 };

        g_test_message("%s", options);
        made = create(&d, options, &error_abort);
        g_assert_cmpuint(crypto_block_payload_offset(made), ==, cases[i].payload);
        for (unsigned j = 0; j < 8192; j++) {
            plain[j] = j / 7;
        }
        memcpy(data, plain, 8192);
        crypto_block_encrypt(made, 512 * 5, data, 8192, &error_abort);
        g_assert_true(memcmp(data, plain, 8192));
        opened = open_with(&d, "a", 0, &error_abort);
        g_assert_cmpuint(crypto_block_payload_offset(opened), ==, cases[i].payload);
        /* One sector alone, then the rest. */
        crypto_block_decrypt(opened, 512 * 6, data + 512, 512, &error_abort);
        crypto_block_decrypt(opened, 512 * 5, data, 512, &error_abort);
        crypto_block_decrypt(opened, 512 * 7, data + 1024, 7168, &error_abort);
        g_assert_cmpmem(data, 8192, plain, 8192);
        g_free(d.bytes);
    }
}

static void test_refused(void)
{
    static const char *const cases[][2] = {
        { "format=luks", "Parameter 'key-secret' is required for cipher" },
        { "format=luks,key-secret=none", "No secret with id 'none'" },
        { "format=luks,key-secret=a,cipher-alg=des,cipher-mode=cbc", "Unsupported cipher algorithm 'des'" },
        { "format=luks,key-secret=a,iter-time=-3", "iter-time must be greater than 0 milliseconds, not -3" },
        { "format=luks,key-secret=a,iter-time=1,cipher-alg=aes-128,cipher-mode=cbc,ivgen-alg=essiv,"
          "ivgen-hash-alg=sha1",
          "No cipher like 'aes-128' has a key of 20 bytes, as hash 'sha1' needs it for essiv" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        Error *err = NULL;
        Disk d = { 0 };

        g_assert_null(create(&d, cases[i][0], &err));
        assert_error(err, cases[i][1]);
        g_assert_null(d.bytes);     /* nothing half-made */
    }
}

static bool amend(CryptoBlock *b, Disk *d, const char *options, bool force, Error **errp)
{
    g_autofree char *text = g_strdup_printf("format=luks,%s", options);
    g_autoptr(JsonValue) v = keyval_parse(text, NULL, NULL, &error_abort);
    g_autoptr(QCryptoBlockAmendOptions) o = qapi_decode(&qapi_type_QCryptoBlockAmendOptions, v, &error_abort);

    return crypto_block_amend(b, o, &io, d, force, errp);
}

static void refuse_amend(CryptoBlock *b, Disk *d, const char *options, const char *message)
{
    Error *err = NULL;

    g_assert_false(amend(b, d, options, false, &err));
    assert_error(err, message);
}

static void test_amend(void)
{
    Disk d = { 0 };
    g_autoptr(CryptoBlock) a = create(&d, "format=luks,key-secret=a,iter-time=1", &error_abort), b = NULL;
    Error *err = NULL;
    QCryptoBlockInfo *info;

    g_assert_null(open_with(&d, "b", 0, &err));
    assert_error(err, "Invalid password, cannot unlock any keyslot");
    refuse_amend(a, &d, "state=active", "'new-secret' is required to activate a keyslot");
    refuse_amend(a, &d, "state=active,new-secret=b,keyslot=8",
                 "Invalid keyslot 8 specified, must be between 0 and 7");
    refuse_amend(a, &d, "state=inactive,keyslot=0",
                 "Attempt to erase the only active keyslot 0 which will erase all the data in the image irreversibly "
                 "- refusing operation");
    amend(a, &d, "state=active,new-secret=b,iter-time=1", false, &error_abort);
    b = open_with(&d, "b", 0, &error_abort);
    refuse_amend(b, &d, "state=active,new-secret=c,iter-time=1,keyslot=0",
                 "Refusing to overwrite active keyslot 0 - please erase it first");
    refuse_amend(b, &d, "state=inactive,keyslot=1,old-secret=a",
                 "Given keyslot 1 doesn't contain the given old password for erase operation");
    refuse_amend(b, &d, "state=inactive,old-secret=c",
                 "No keyslots match given (old) password for erase operation");
    amend(b, &d, "state=inactive,old-secret=a", false, &error_abort);
    g_assert_null(open_with(&d, "a", 0, &err));
    g_clear_pointer(&err, error_free);
    refuse_amend(b, &d, "state=inactive,old-secret=b",
                 "All the active keyslots match the (old) password that was given and erasing them will erase all the "
                 "data in the image irreversibly - refusing operation");
    for (unsigned i = 0; i < 7; i++) {
        amend(b, &d, "state=active,new-secret=c,iter-time=1", false, &error_abort);
    }
    refuse_amend(b, &d, "state=active,new-secret=c,iter-time=1",
                 "Can't add a keyslot - all keyslots are in use");
    info = crypto_block_info(b);
    g_assert_true(info->u.luks.slots->value->active);
    g_assert_cmpint(info->u.luks.slots->value->key_offset, ==, 4096);
    qapi_free_QCryptoBlockInfo(info);
    g_free(d.bytes);
}

static void test_qcow(void)
{
    QCryptoBlockOpenOptions o = { .format = Q_CRYPTO_BLOCK_FORMAT_QCOW, .u.qcow.key_secret = (char *)"a" };
    g_autoptr(CryptoBlock) b = crypto_block_open(&o, "encrypt.", &io, NULL, 0, &error_abort);
    uint8_t buf[512] = { 0 };
    Error *err = NULL;

    g_assert_cmpuint(crypto_block_payload_offset(b), ==, 0);
    crypto_block_encrypt(b, 0, buf, sizeof(buf), &error_abort);
    crypto_block_decrypt(b, 0, buf, sizeof(buf), &error_abort);
    g_assert_cmpint(buf[17], ==, 0);
    o.u.qcow.key_secret = NULL;
    g_assert_null(crypto_block_open(&o, "encrypt.", &io, NULL, 0, &err));
    assert_error(err, "Parameter 'encrypt.key-secret' is required for cipher");
}

/* Any single wrong field of a header gives an error or a header that still makes sense, nothing else. */
static void test_hostile(void)
{
    Disk d = { 0 };
    g_autoptr(CryptoBlock) made = create(&d, "format=luks,key-secret=a,iter-time=1", &error_abort);
    static const uint32_t values[] = { 0, 1, 7, 8, 63, 4000, 0x7fffffff, 0x80000000, 0xffffffff, 0x41414141 };
    Error *err = NULL;
    unsigned refused = 0;

    for (unsigned offset = 0; offset < 592; offset += 4) {
        uint32_t old = load_be32(d.bytes + offset);

        for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
            CryptoBlock *b;

            store_be32(d.bytes + offset, values[i]);
            b = open_with(&d, NULL, CRYPTO_BLOCK_NO_IO, &err);
            if (b) {
                qapi_free_QCryptoBlockInfo(crypto_block_info(b));
                crypto_block_free(b);
            } else {
                refused++;
                g_clear_pointer(&err, error_free);
            }
        }
        store_be32(d.bytes + offset, old);
    }
    g_assert_cmpuint(refused, >, 300);
    d.room = 100;
    g_assert_null(open_with(&d, NULL, CRYPTO_BLOCK_NO_IO, &err));
    assert_error(err, "Unable to read LUKS header: beyond the end");
    g_free(d.bytes);
}

int main(int argc, char **argv)
{
    static const char *const secrets[] = { "a", "b", "c" };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(secrets); i++) {
        g_autofree char *text = g_strdup_printf("secret,id=%s,data=password %s", secrets[i], secrets[i]);
        g_autoptr(JsonValue) o = keyval_parse(text, "qom-type", NULL, &error_abort);

        g_assert_nonnull(user_creatable_add(o, &error_abort));
    }
    g_test_add_func("/crypto/block/algorithms", test_algorithms);
    g_test_add_func("/crypto/block/refused", test_refused);
    g_test_add_func("/crypto/block/amend", test_amend);
    g_test_add_func("/crypto/block/qcow", test_qcow);
    g_test_add_func("/crypto/block/hostile", test_hostile);
    return g_test_run();
}
