/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LUKS version 1, after its On-Disk Format Specification 1.2.3: header, key
 * slots, master key. Main thread; see include/crypto/block.h.
 *
 * Trust: the header is the image maker's. Everything is checked before use, and
 * no length in it makes us allocate more than the largest key material that a
 * known cipher can have.
 */
#include "util/osdep.h"
#include "crypto/block-internal.h"
#include "crypto/secret.h"
#include "util/bswap.h"

#define LUKS_SLOTS 8
#define LUKS_STRIPES 4000
#define LUKS_HEADER_LEN 592
#define LUKS_SLOT_ENABLED 0x00ac71f3
#define LUKS_SLOT_DISABLED 0x0000dead
#define LUKS_DIGEST_LEN 20
#define LUKS_SALT_LEN 32
#define LUKS_MIN_ITERS 1000
#define LUKS_MASTER_KEY_SHARE 8     /* the master key's check takes so much less than a slot's */
#define LUKS_ITER_TIME_MS 2000
/* Key material starts at and is rounded up to this. */
#define LUKS_SLOT_ALIGN 4096
#define LUKS_ERASE_PASSES 40

static const uint8_t luks_magic[6] = { 'L', 'U', 'K', 'S', 0xba, 0xbe };

typedef struct LuksSlot {
    uint32_t active;            /* LUKS_SLOT_ENABLED or _DISABLED */
    uint32_t iterations;
    uint8_t salt[LUKS_SALT_LEN];
    uint32_t material_sector;
    uint32_t stripes;
} LuksSlot;

typedef struct LuksHeader {
    char cipher_name[32], cipher_mode[32], hash_spec[32];       /* NUL-terminated */
    uint32_t payload_sector;
    uint32_t key_bytes;
    uint8_t digest[LUKS_DIGEST_LEN];
    uint8_t digest_salt[LUKS_SALT_LEN];
    uint32_t digest_iterations;
    char uuid[40];              /* NUL-terminated */
    LuksSlot slots[LUKS_SLOTS];
    QCryptoHashAlgorithm hash;
    uint64_t slot_iterations;   /* of a slot that is known to be slow enough */
} LuksHeader;

bool luks_has_magic(const void *buf, size_t len)
{
    return len >= 8 && memcmp(buf, luks_magic, sizeof(luks_magic)) == 0 &&
           load_be16((const uint8_t *)buf + sizeof(luks_magic)) == 1;
}

/* Bytes of split key on the disk, in whole sectors. */
static size_t material_len(const LuksHeader *h)
{
    return ROUND_UP((size_t)h->key_bytes * LUKS_STRIPES, CRYPTO_SECTOR);
}

/* ---- names of ciphers ---- */

/* The members of a family are neighbours, from the shortest key. */
static const struct {
    const char *name;
    QCryptoCipherAlgorithm first, last;
} luks_ciphers[] = {
    { "aes", Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_ALGORITHM_AES_256 },
    { "cast5", Q_CRYPTO_CIPHER_ALGORITHM_CAST5_128, Q_CRYPTO_CIPHER_ALGORITHM_CAST5_128 },
    { "serpent", Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_128, Q_CRYPTO_CIPHER_ALGORITHM_SERPENT_256 },
    { "twofish", Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_128, Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_256 },
};

static bool parse_hash(const char *text, QCryptoHashAlgorithm *hash, Error **errp)
{
    for (int i = 0; i < Q_CRYPTO_HASH_ALGORITHM__MAX; i++) {
        if (strcmp(text, QCryptoHashAlgorithm_str(i)) == 0) {
            *hash = i;
            return true;
        }
    }
    error_setg(errp, "Hash algorithm '%s' is not recognized", text);
    return false;
}

static bool parse_cipher(const LuksHeader *h, QCryptoCipherMode mode, QCryptoCipherAlgorithm *alg, Error **errp)
{
    uint32_t len = mode == Q_CRYPTO_CIPHER_MODE_XTS ? h->key_bytes / 2 : h->key_bytes;

    if (mode == Q_CRYPTO_CIPHER_MODE_XTS && h->key_bytes % 2) {
        error_setg(errp, "XTS cipher key length should be a multiple of 2");
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(luks_ciphers); i++) {
        if (strcmp(h->cipher_name, luks_ciphers[i].name) != 0) {
            continue;
        }
        for (int a = luks_ciphers[i].first; a <= (int)luks_ciphers[i].last; a++) {
            if (crypto_cipher_key_len(a) == len) {
                *alg = a;
                return true;
            }
        }
    }
    error_setg(errp, "Algorithm '%s' with key size %" PRIu32 " bytes not supported", h->cipher_name, len);
    return false;
}

/* "xts-plain64", "cbc-essiv:sha256" */
static bool parse_mode(const LuksHeader *h, SectorCipher *sc, Error **errp)
{
    g_autofree char *text = g_strdup(h->cipher_mode);
    char *ivgen = strchr(text, '-'), *hash;
    int i;

    if (!ivgen) {
        error_setg(errp, "Unexpected cipher mode string format '%s'", h->cipher_mode);
        return false;
    }
    *ivgen++ = 0;
    hash = strchr(ivgen, ':');
    if (hash) {
        *hash++ = 0;
        if (!parse_hash(hash, &sc->ivgen_hash, errp)) {
            return false;
        }
    }
    for (i = 0; i < Q_CRYPTO_CIPHER_MODE__MAX && strcmp(text, QCryptoCipherMode_str(i)) != 0; i++) {
    }
    if (i == Q_CRYPTO_CIPHER_MODE__MAX) {
        error_setg(errp, "Unsupported cipher mode '%s'", text);
        return false;
    }
    sc->mode = i;
    for (i = 0; i < Q_CRYPTO_IV_GEN_ALGORITHM__MAX && strcmp(ivgen, QCryptoIVGenAlgorithm_str(i)) != 0; i++) {
    }
    if (i == Q_CRYPTO_IV_GEN_ALGORITHM__MAX) {
        error_setg(errp, "Unsupported IV generator '%s'", ivgen);
        return false;
    }
    sc->ivgen = i;
    if (sc->ivgen == Q_CRYPTO_IV_GEN_ALGORITHM_ESSIV && !hash) {
        error_setg(errp, "Missing IV generator hash specification");
        return false;
    }
    return true;
}

/* ---- header on disk ---- */

/* The fields of the header in their order on disk. */
static void header_to_disk(const LuksHeader *h, uint8_t *d)
{
    memset(d, 0, LUKS_HEADER_LEN);
    memcpy(d, luks_magic, 6);
    store_be16(d + 6, 1);
    memcpy(d + 8, h->cipher_name, 32);
    memcpy(d + 40, h->cipher_mode, 32);
    memcpy(d + 72, h->hash_spec, 32);
    store_be32(d + 104, h->payload_sector);
    store_be32(d + 108, h->key_bytes);
    memcpy(d + 112, h->digest, LUKS_DIGEST_LEN);
    memcpy(d + 132, h->digest_salt, LUKS_SALT_LEN);
    store_be32(d + 164, h->digest_iterations);
    memcpy(d + 168, h->uuid, 40);
    d += 208;
    for (unsigned i = 0; i < LUKS_SLOTS; i++, d += 48) {
        const LuksSlot *s = &h->slots[i];

        store_be32(d, s->active);
        store_be32(d + 4, s->iterations);
        memcpy(d + 8, s->salt, LUKS_SALT_LEN);
        store_be32(d + 40, s->material_sector);
        store_be32(d + 44, s->stripes);
    }
}

static void header_from_disk(LuksHeader *h, const uint8_t *d)
{
    memcpy(h->cipher_name, d + 8, 32);
    memcpy(h->cipher_mode, d + 40, 32);
    memcpy(h->hash_spec, d + 72, 32);
    h->payload_sector = load_be32(d + 104);
    h->key_bytes = load_be32(d + 108);
    memcpy(h->digest, d + 112, LUKS_DIGEST_LEN);
    memcpy(h->digest_salt, d + 132, LUKS_SALT_LEN);
    h->digest_iterations = load_be32(d + 164);
    memcpy(h->uuid, d + 168, 40);
    d += 208;
    for (unsigned i = 0; i < LUKS_SLOTS; i++, d += 48) {
        LuksSlot *s = &h->slots[i];

        s->active = load_be32(d);
        s->iterations = load_be32(d + 4);
        memcpy(s->salt, d + 8, LUKS_SALT_LEN);
        s->material_sector = load_be32(d + 40);
        s->stripes = load_be32(d + 44);
    }
}

static bool check_slots(const LuksHeader *h, Error **errp)
{
    uint64_t len = material_len(h) / CRYPTO_SECTOR;
    uint64_t first = DIV_ROUND_UP(LUKS_HEADER_LEN, CRYPTO_SECTOR);

    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        const LuksSlot *s = &h->slots[i];
        uint64_t start = s->material_sector, end = start + len;

        if (s->active != LUKS_SLOT_ENABLED && s->active != LUKS_SLOT_DISABLED) {
            error_setg(errp, "Keyslot %u state (active/disable) is corrupted", i);
            return false;
        }
        if (s->stripes != LUKS_STRIPES) {
            error_setg(errp, "Keyslot %u is corrupted (stripes %" PRIu32 " != %d)", i, s->stripes, LUKS_STRIPES);
            return false;
        }
        if (start < first) {
            error_setg(errp, "Keyslot %u is overlapping the LUKS header", i);
            return false;
        }
        if (s->active == LUKS_SLOT_ENABLED && s->iterations == 0) {
            error_setg(errp, "Keyslot %u iteration count is zero", i);
            return false;
        }
        if (h->payload_sector && end > h->payload_sector) {
            error_setg(errp, "Keyslot %u is overlapping with the encrypted payload", i);
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            uint64_t other = h->slots[j].material_sector;

            if (start < other + len && other < end) {
                error_setg(errp, "Keyslots %u and %u are overlapping in the header", j, i);
                return false;
            }
        }
    }
    return true;
}

static bool check_header(LuksHeader *h, SectorCipher *sc, Error **errp)
{
    static const struct {
        const char *what;
        size_t offset, len;
    } texts[] = {
        { "cipher name", offsetof(LuksHeader, cipher_name), 32 },
        { "cipher mode", offsetof(LuksHeader, cipher_mode), 32 },
        { "hash spec", offsetof(LuksHeader, hash_spec), 32 },
        { "UUID", offsetof(LuksHeader, uuid), 40 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *text = (char *)h + texts[i].offset;

        if (!memchr(text, 0, texts[i].len) || !g_utf8_validate(text, -1, NULL)) {
            error_setg(errp, "LUKS header %s is not a NUL terminated string", texts[i].what);
            return false;
        }
    }
    if (h->key_bytes == 0 || h->key_bytes > CRYPTO_KEY_MAX) {
        error_setg(errp, "LUKS master key length %" PRIu32 " is not supported", h->key_bytes);
        return false;
    }
    if (h->digest_iterations == 0) {
        error_setg(errp, "LUKS key iteration count is zero");
        return false;
    }
    return parse_hash(h->hash_spec, &h->hash, errp) && parse_mode(h, sc, errp) &&
           parse_cipher(h, sc->mode, &sc->alg, errp) && check_slots(h, errp);
}

static bool read_header(CryptoBlock *b, const CryptoBlockHeaderIo *io, void *opaque, Error **errp)
{
    uint8_t disk[LUKS_HEADER_LEN];

    if (!io->read(opaque, 0, disk, sizeof(disk), errp)) {
        error_prepend(errp, "Unable to read LUKS header: ");
        return false;
    }
    if (memcmp(disk, luks_magic, sizeof(luks_magic)) != 0) {
        error_setg(errp, "Volume is not in LUKS format");
        return false;
    }
    if (load_be16(disk + 6) != 1) {
        error_setg(errp, "LUKS version %d is not supported", load_be16(disk + 6));
        return false;
    }
    b->luks = g_new0(LuksHeader, 1);
    header_from_disk(b->luks, disk);
    b->payload_offset = (uint64_t)b->luks->payload_sector * CRYPTO_SECTOR;
    return check_header(b->luks, &b->cipher, errp);
}

static bool write_header(CryptoBlock *b, const CryptoBlockHeaderIo *io, void *opaque, Error **errp)
{
    uint8_t disk[LUKS_HEADER_LEN];

    header_to_disk(b->luks, disk);
    if (!io->write(opaque, 0, disk, sizeof(disk), errp)) {
        error_prepend(errp, "Unable to write LUKS header: ");
        return false;
    }
    return true;
}

/* ---- key slots ---- */

/* Split @key, encrypt it with the key that @password gives, write it, and set slot @index. */
static bool store_key(CryptoBlock *b, unsigned index, const char *password, const uint8_t *key,
                      const CryptoBlockHeaderIo *io, void *opaque, Error **errp)
{
    LuksHeader *h = b->luks;
    LuksSlot slot = h->slots[index];
    size_t len = material_len(h);
    g_autofree uint8_t *material = g_malloc0(len);
    uint8_t slot_key[CRYPTO_KEY_MAX];
    SectorKey *k = NULL;
    bool ok;

    slot.active = LUKS_SLOT_ENABLED;
    slot.iterations = MIN(MAX(h->slot_iterations, LUKS_MIN_ITERS), UINT32_MAX);
    ok = crypto_random(slot.salt, sizeof(slot.salt), errp) &&
         crypto_pbkdf2(h->hash, password, strlen(password), slot.salt, sizeof(slot.salt), slot.iterations, slot_key,
                       h->key_bytes, errp) &&
         (k = sector_key_new(&b->cipher, slot_key, h->key_bytes, errp)) &&
         af_split(h->hash, key, h->key_bytes, LUKS_STRIPES, material, errp) &&
         sector_key_run(k, true, 0, material, len, errp) &&
         io->write(opaque, (uint64_t)slot.material_sector * CRYPTO_SECTOR, material, len, errp);
    sector_key_free(k);
    crypto_wipe(slot_key, sizeof(slot_key));
    crypto_wipe(material, len);
    if (ok) {
        h->slots[index] = slot;
    }
    return ok;
}

typedef enum KeyMatch { KEY_ERROR, KEY_WRONG, KEY_RIGHT } KeyMatch;

/* Does @password open slot @index? Then @key is the master key. */
static KeyMatch load_key(CryptoBlock *b, unsigned index, const char *password, uint8_t *key,
                         const CryptoBlockHeaderIo *io, void *opaque, Error **errp)
{
    LuksHeader *h = b->luks;
    const LuksSlot *slot = &h->slots[index];
    size_t len = material_len(h);
    g_autofree uint8_t *material = NULL;
    uint8_t slot_key[CRYPTO_KEY_MAX], digest[LUKS_DIGEST_LEN];
    SectorKey *k = NULL;
    bool ok;

    if (slot->active != LUKS_SLOT_ENABLED) {
        return KEY_WRONG;
    }
    material = g_malloc(len);
    ok = crypto_pbkdf2(h->hash, password, strlen(password), slot->salt, sizeof(slot->salt), slot->iterations,
                       slot_key, h->key_bytes, errp) &&
         io->read(opaque, (uint64_t)slot->material_sector * CRYPTO_SECTOR, material, len, errp) &&
         (k = sector_key_new(&b->cipher, slot_key, h->key_bytes, errp)) &&
         sector_key_run(k, false, 0, material, len, errp) &&
         af_merge(h->hash, material, h->key_bytes, LUKS_STRIPES, key, errp) &&
         crypto_pbkdf2(h->hash, key, h->key_bytes, h->digest_salt, sizeof(h->digest_salt), h->digest_iterations,
                       digest, sizeof(digest), errp);
    sector_key_free(k);
    crypto_wipe(slot_key, sizeof(slot_key));
    crypto_wipe(material, len);
    if (!ok) {
        return KEY_ERROR;
    }
    return memcmp(digest, h->digest, sizeof(digest)) == 0 ? KEY_RIGHT : KEY_WRONG;
}

static bool find_key(CryptoBlock *b, const char *password, uint8_t *key, const CryptoBlockHeaderIo *io,
                     void *opaque, Error **errp)
{
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        KeyMatch match = load_key(b, i, password, key, io, opaque, errp);

        if (match != KEY_WRONG) {
            return match == KEY_RIGHT;
        }
    }
    error_setg(errp, "Invalid password, cannot unlock any keyslot");
    return false;
}

/* ---- open ---- */

bool luks_open(CryptoBlock *b, const char *secret, const char *prefix, const CryptoBlockHeaderIo *io, void *opaque,
               unsigned flags, Error **errp)
{
    uint8_t key[CRYPTO_KEY_MAX];
    char *password = NULL;
    bool ok;

    if (!(flags & CRYPTO_BLOCK_NO_IO)) {
        if (!secret) {
            error_setg(errp, "Parameter '%skey-secret' is required for cipher", prefix);
            return false;
        }
        password = secret_lookup_utf8(secret, errp);
        if (!password) {
            return false;
        }
        b->secret = g_strdup(secret);
    }
    ok = read_header(b, io, opaque, errp);
    if (ok && password) {
        ok = find_key(b, password, key, io, opaque, errp) &&
             crypto_block_set_key(b, key, b->luks->key_bytes, errp);
        crypto_wipe(key, sizeof(key));
    }
    if (password) {
        secret_free(password, strlen(password));
    }
    return ok;
}

/* ---- create ---- */

static bool fill_cipher(LuksHeader *h, const QCryptoBlockCreateOptionsLUKS *o, SectorCipher *sc, Error **errp)
{
    bool has_hash = o->has_ivgen_hash_alg;
    g_autofree char *mode = NULL;

    sc->alg = o->has_cipher_alg ? o->cipher_alg : Q_CRYPTO_CIPHER_ALGORITHM_AES_256;
    sc->mode = o->has_cipher_mode ? o->cipher_mode : Q_CRYPTO_CIPHER_MODE_XTS;
    sc->ivgen = o->has_ivgen_alg ? o->ivgen_alg : Q_CRYPTO_IV_GEN_ALGORITHM_PLAIN64;
    sc->ivgen_hash = o->ivgen_hash_alg;
    if (sc->ivgen == Q_CRYPTO_IV_GEN_ALGORITHM_ESSIV && !has_hash) {
        sc->ivgen_hash = Q_CRYPTO_HASH_ALGORITHM_SHA256;
        has_hash = true;
    }
    h->hash = o->has_hash_alg ? o->hash_alg : Q_CRYPTO_HASH_ALGORITHM_SHA256;
    h->key_bytes = sector_cipher_key_len(sc);
    for (unsigned i = 0; i < ARRAY_SIZE(luks_ciphers); i++) {
        if (sc->alg >= luks_ciphers[i].first && sc->alg <= luks_ciphers[i].last) {
            g_strlcpy(h->cipher_name, luks_ciphers[i].name, sizeof(h->cipher_name));
        }
    }
    if (!h->cipher_name[0]) {
        error_setg(errp, "Unsupported cipher algorithm '%s'", QCryptoCipherAlgorithm_str(sc->alg));
        return false;
    }
    mode = g_strdup_printf("%s-%s%s%s", QCryptoCipherMode_str(sc->mode), QCryptoIVGenAlgorithm_str(sc->ivgen),
                           has_hash ? ":" : "", has_hash ? QCryptoHashAlgorithm_str(sc->ivgen_hash) : "");
    g_strlcpy(h->cipher_mode, mode, sizeof(h->cipher_mode));
    g_strlcpy(h->hash_spec, QCryptoHashAlgorithm_str(h->hash), sizeof(h->hash_spec));
    return true;
}

static uint64_t slot_stride(const LuksHeader *h)
{
    return ROUND_UP((uint64_t)h->key_bytes * LUKS_STRIPES, LUKS_SLOT_ALIGN);
}

bool luks_header_len(const QCryptoBlockCreateOptionsLUKS *o, uint64_t *len, Error **errp)
{
    LuksHeader h = { 0 };
    SectorCipher sc;

    if (!fill_cipher(&h, o, &sc, errp)) {
        return false;
    }
    *len = LUKS_SLOT_ALIGN + LUKS_SLOTS * slot_stride(&h);
    return true;
}

/* Iterations that take @ms milliseconds for a key of @key_len bytes. */
static bool measure(const LuksHeader *h, size_t key_len, uint64_t ms, uint64_t *iterations, Error **errp)
{
    uint64_t rate = crypto_pbkdf2_per_second(h->hash, key_len, errp);

    if (!rate) {
        return false;
    }
    *iterations = (unsigned __int128)rate * ms / 1000 > UINT32_MAX ? UINT32_MAX : rate * ms / 1000;
    return true;
}

static bool iter_time(bool given, int64_t value, uint64_t *ms, Error **errp)
{
    if (given && value <= 0) {
        error_setg(errp, "iter-time must be greater than 0 milliseconds, not %" PRId64, value);
        return false;
    }
    *ms = given ? MIN((uint64_t)value, UINT32_MAX) : LUKS_ITER_TIME_MS;
    return true;
}

static bool fill_master_key(LuksHeader *h, uint8_t *key, uint64_t ms, Error **errp)
{
    uint64_t iterations;

    if (!crypto_random(key, h->key_bytes, errp) || !crypto_random(h->digest_salt, sizeof(h->digest_salt), errp) ||
        !measure(h, LUKS_DIGEST_LEN, ms, &iterations, errp) ||
        !measure(h, h->key_bytes, ms, &h->slot_iterations, errp)) {
        return false;
    }
    h->digest_iterations = MAX(iterations / LUKS_MASTER_KEY_SHARE, LUKS_MIN_ITERS);
    return crypto_pbkdf2(h->hash, key, h->key_bytes, h->digest_salt, sizeof(h->digest_salt), h->digest_iterations,
                         h->digest, sizeof(h->digest), errp);
}

bool luks_create(CryptoBlock *b, const QCryptoBlockCreateOptionsLUKS *o, const char *prefix,
                 const CryptoBlockHeaderIo *io, void *opaque, unsigned flags, Error **errp)
{
    LuksHeader *h = b->luks = g_new0(LuksHeader, 1);
    g_autofree char *uuid = g_uuid_string_random();
    uint8_t key[CRYPTO_KEY_MAX];
    uint64_t ms, header_len;
    char *password;
    bool ok;

    if (!o->key_secret) {
        error_setg(errp, "Parameter '%skey-secret' is required for cipher", prefix);
        return false;
    }
    password = secret_lookup_utf8(o->key_secret, errp);
    if (!password) {
        return false;
    }
    b->secret = g_strdup(o->key_secret);
    g_strlcpy(h->uuid, uuid, sizeof(h->uuid));
    ok = iter_time(o->has_iter_time, o->iter_time, &ms, errp) && fill_cipher(h, o, &b->cipher, errp);
    for (unsigned i = 0; ok && i < LUKS_SLOTS; i++) {
        h->slots[i] = (LuksSlot) {
            .active = LUKS_SLOT_DISABLED,
            .material_sector = (LUKS_SLOT_ALIGN + i * slot_stride(h)) / CRYPTO_SECTOR,
            .stripes = LUKS_STRIPES,
        };
    }
    header_len = LUKS_SLOT_ALIGN + LUKS_SLOTS * slot_stride(h);
    b->payload_offset = flags & CRYPTO_BLOCK_DETACHED ? 0 : header_len;
    h->payload_sector = b->payload_offset / CRYPTO_SECTOR;
    /* The cipher is tried before anything is written. */
    ok = ok && fill_master_key(h, key, ms, errp) && crypto_block_set_key(b, key, h->key_bytes, errp) &&
         io->make_room(opaque, header_len, errp) && store_key(b, 0, password, key, io, opaque, errp) &&
         write_header(b, io, opaque, errp);
    crypto_wipe(key, sizeof(key));
    secret_free(password, strlen(password));
    return ok;
}

/* ---- amend ---- */

static unsigned count_active(const LuksHeader *h)
{
    unsigned n = 0;

    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        n += h->slots[i].active == LUKS_SLOT_ENABLED;
    }
    return n;
}

/* The slot no longer counts before its material is destroyed, so that a crash leaves no half of one. */
static bool erase_slot(CryptoBlock *b, unsigned index, const CryptoBlockHeaderIo *io, void *opaque, Error **errp)
{
    LuksSlot *slot = &b->luks->slots[index];
    LuksSlot old = *slot;
    size_t len = material_len(b->luks);
    g_autofree uint8_t *garbage = g_malloc(len);

    slot->active = LUKS_SLOT_DISABLED;
    slot->iterations = 0;
    memset(slot->salt, 0, sizeof(slot->salt));
    if (!write_header(b, io, opaque, errp)) {
        *slot = old;
        return false;
    }
    for (unsigned i = 0; i < LUKS_ERASE_PASSES; i++) {
        if (!crypto_random(garbage, len, errp) ||
            !io->write(opaque, (uint64_t)slot->material_sector * CRYPTO_SECTOR, garbage, len, errp)) {
            return false;
        }
    }
    return true;
}

static bool check_keyslot(const QCryptoBlockAmendOptionsLUKS *o, Error **errp)
{
    if (o->has_keyslot && (o->keyslot < 0 || o->keyslot >= LUKS_SLOTS)) {
        error_setg(errp, "Invalid keyslot %" PRId64 " specified, must be between 0 and %d", o->keyslot,
                   LUKS_SLOTS - 1);
        return false;
    }
    return true;
}

static bool amend_add(CryptoBlock *b, const QCryptoBlockAmendOptionsLUKS *o, const CryptoBlockHeaderIo *io,
                      void *opaque, bool force, Error **errp)
{
    LuksHeader *h = b->luks;
    const char *secret = o->secret ? o->secret : b->secret;
    char *old_password = NULL, *new_password = NULL;
    uint8_t key[CRYPTO_KEY_MAX];
    unsigned index = 0;
    bool ok = false;
    uint64_t ms;

    if (!o->new_secret) {
        error_setg(errp, "'new-secret' is required to activate a keyslot");
        return false;
    }
    if (o->old_secret) {
        error_setg(errp, "'old-secret' must not be given when activating keyslots");
        return false;
    }
    if (!iter_time(o->has_iter_time, o->iter_time, &ms, errp) || !check_keyslot(o, errp)) {
        return false;
    }
    if (o->has_keyslot) {
        index = o->keyslot;
        if (h->slots[index].active == LUKS_SLOT_ENABLED && !force) {
            error_setg(errp, "Refusing to overwrite active keyslot %u - please erase it first", index);
            return false;
        }
    } else {
        while (index < LUKS_SLOTS && h->slots[index].active == LUKS_SLOT_ENABLED) {
            index++;
        }
        if (index == LUKS_SLOTS) {
            error_setg(errp, "Can't add a keyslot - all keyslots are in use");
            return false;
        }
    }
    if (!secret) {
        error_setg(errp, "A secret with a valid password is needed to add a key");
        return false;
    }
    old_password = secret_lookup_utf8(secret, errp);
    new_password = old_password ? secret_lookup_utf8(o->new_secret, errp) : NULL;
    if (new_password && find_key(b, old_password, key, io, opaque, errp)) {
        ok = measure(h, h->key_bytes, ms, &h->slot_iterations, errp) &&
             store_key(b, index, new_password, key, io, opaque, errp) && write_header(b, io, opaque, errp);
        crypto_wipe(key, sizeof(key));
    }
    secret_free(old_password, old_password ? strlen(old_password) : 0);
    secret_free(new_password, new_password ? strlen(new_password) : 0);
    return ok;
}

/* The slots of @password as a bit mask; false with @errp. */
static bool slots_of_password(CryptoBlock *b, const char *password, unsigned *mask,
                              const CryptoBlockHeaderIo *io, void *opaque, Error **errp)
{
    uint8_t key[CRYPTO_KEY_MAX];
    bool ok = true;

    *mask = 0;
    for (unsigned i = 0; ok && i < LUKS_SLOTS; i++) {
        KeyMatch match = load_key(b, i, password, key, io, opaque, errp);

        *mask |= match == KEY_RIGHT ? 1u << i : 0;
        ok = match != KEY_ERROR;
    }
    crypto_wipe(key, sizeof(key));
    return ok;
}

static bool amend_erase_slot(CryptoBlock *b, const QCryptoBlockAmendOptionsLUKS *o, bool has_mask, unsigned mask,
                             const CryptoBlockHeaderIo *io, void *opaque, bool force, Error **errp)
{
    unsigned index = o->keyslot;

    if (has_mask && !(mask & (1u << index))) {
        error_setg(errp, "Given keyslot %u doesn't contain the given old password for erase operation", index);
        return false;
    }
    if (b->luks->slots[index].active != LUKS_SLOT_ENABLED && !force) {
        error_setg(errp, "Given keyslot %u is already erased (inactive) ", index);
        return false;
    }
    if (count_active(b->luks) == 1 && b->luks->slots[index].active == LUKS_SLOT_ENABLED && !force) {
        error_setg(errp, "Attempt to erase the only active keyslot %u which will erase all the data in the image "
                   "irreversibly - refusing operation", index);
        return false;
    }
    return erase_slot(b, index, io, opaque, errp);
}

static bool amend_erase(CryptoBlock *b, const QCryptoBlockAmendOptionsLUKS *o, const CryptoBlockHeaderIo *io,
                        void *opaque, bool force, Error **errp)
{
    unsigned mask = 0;

    if (o->new_secret) {
        error_setg(errp, "'new-secret' must not be given when erasing keyslots");
        return false;
    }
    if (o->has_iter_time) {
        error_setg(errp, "'iter-time' must not be given when erasing keyslots");
        return false;
    }
    if (!check_keyslot(o, errp)) {
        return false;
    }
    if (o->old_secret) {
        char *password = secret_lookup_utf8(o->old_secret, errp);
        bool ok = password && slots_of_password(b, password, &mask, io, opaque, errp);

        secret_free(password, password ? strlen(password) : 0);
        if (!ok) {
            return false;
        }
    } else if (!o->has_keyslot) {
        error_setg(errp, "To erase keyslot(s), either explicit keyslot index or the password currently contained in "
                   "them must be given");
        return false;
    }
    if (o->has_keyslot) {
        return amend_erase_slot(b, o, o->old_secret, mask, io, opaque, force, errp);
    }
    if (!mask) {
        error_setg(errp, "No keyslots match given (old) password for erase operation");
        return false;
    }
    if (__builtin_popcount(mask) == count_active(b->luks) && !force) {
        error_setg(errp, "All the active keyslots match the (old) password that was given and erasing them will "
                   "erase all the data in the image irreversibly - refusing operation");
        return false;
    }
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        if ((mask & (1u << i)) && !erase_slot(b, i, io, opaque, errp)) {
            return false;
        }
    }
    return true;
}

bool luks_amend(CryptoBlock *b, const QCryptoBlockAmendOptionsLUKS *o, const CryptoBlockHeaderIo *io, void *opaque,
                bool force, Error **errp)
{
    return o->state == Q_CRYPTO_BLOCK_LUKS_KEYSLOT_STATE_ACTIVE ? amend_add(b, o, io, opaque, force, errp) :
                                                                  amend_erase(b, o, io, opaque, force, errp);
}

/* ---- info ---- */

void luks_info(CryptoBlock *b, QCryptoBlockInfoLUKS *info)
{
    const LuksHeader *h = b->luks;
    QCryptoBlockInfoLUKSSlotList **end = &info->slots;

    info->cipher_alg = b->cipher.alg;
    info->cipher_mode = b->cipher.mode;
    info->ivgen_alg = b->cipher.ivgen;
    info->has_ivgen_hash_alg = b->cipher.ivgen == Q_CRYPTO_IV_GEN_ALGORITHM_ESSIV;
    info->ivgen_hash_alg = b->cipher.ivgen_hash;
    info->hash_alg = h->hash;
    info->payload_offset = b->payload_offset;
    info->master_key_iters = h->digest_iterations;
    info->uuid = g_strdup(h->uuid);
    for (unsigned i = 0; i < LUKS_SLOTS; i++) {
        const LuksSlot *s = &h->slots[i];
        QCryptoBlockInfoLUKSSlot *slot = g_new0(QCryptoBlockInfoLUKSSlot, 1);

        slot->active = slot->has_iters = slot->has_stripes = s->active == LUKS_SLOT_ENABLED;
        slot->iters = s->iterations;
        slot->stripes = s->stripes;
        slot->key_offset = (int64_t)s->material_sector * CRYPTO_SECTOR;
        *end = g_new0(QCryptoBlockInfoLUKSSlotList, 1);
        (*end)->value = slot;
        end = &(*end)->next;
    }
}
