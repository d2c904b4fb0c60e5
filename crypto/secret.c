/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects "secret" (bytes from the command line or a file) and
 * "secret_keyring" (a key of the kernel), optionally in base64 and encrypted
 * with another secret (AES-256-CBC with PKCS#7 padding).
 *
 * Main thread. Trusts the user; secrets are wiped when they go.
 */
#include "util/osdep.h"
#include <sys/syscall.h>
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "qom/object.h"

#define KEYCTL_READ 11          /* keyctl(2); linux/keyctl.h */
#define AES_BLOCK 16
#define AES256_KEY 32
/* No key, password or credential is longer. */
#define SECRET_MAX (16 * MIB)

typedef struct SecretCommon {
    Object obj;
    bool loaded;                /* property without effect */
    int format;
    char *keyid, *iv;
    uint8_t *bytes;             /* with a NUL behind */
    size_t len;
} SecretCommon;

static const TypeInfo secret_common_type;

typedef struct SecretSource {
    /* The bytes as given, with a NUL behind; caller frees. */
    uint8_t *(*read)(SecretCommon *s, size_t *len, Error **errp);
} SecretSource;

void secret_free(void *data, size_t len)
{
    crypto_wipe(data, len);
    g_free(data);
}

/* ---- decoding ---- */

/* Strict where g_base64_decode() skips over what it does not know. */
static uint8_t *base64_decode(const char *text, size_t len, size_t *out_len, Error **errp)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n\r";
    uint8_t *out;

    if (memchr(text, 0, len)) {
        error_setg(errp, "Base64 data is not NUL terminated");
        return NULL;
    }
    if (strspn(text, digits) != len) {
        error_setg(errp, "Base64 data is not valid");
        return NULL;
    }
    out = g_base64_decode(text, out_len);
    out = g_realloc(out, *out_len + 1);
    out[*out_len] = 0;
    return out;
}

/* Take the base64 text or plain bytes *@data apart according to @s; consumes *@data. */
static bool decrypt(const SecretCommon *s, uint8_t **data, size_t *len, Error **errp)
{
    g_autofree uint8_t *key = NULL, *iv = NULL, *text = NULL;
    g_autoptr(CryptoCipher) cipher = NULL;
    size_t key_len = 0, iv_len = 0, n;
    bool ok = false;
    uint8_t pad;

    key = secret_lookup(s->keyid, &key_len, errp);
    if (!key) {
        return false;
    }
    if (key_len != AES256_KEY) {
        error_setg(errp, "Key should be %d bytes in length", AES256_KEY);
        goto out;
    }
    if (!s->iv) {
        error_setg(errp, "IV is required to decrypt secret");
        goto out;
    }
    iv = base64_decode(s->iv, strlen(s->iv), &iv_len, errp);
    if (!iv) {
        goto out;
    }
    if (iv_len != AES_BLOCK) {
        error_setg(errp, "IV should be %d bytes in length not %zu", AES_BLOCK, iv_len);
        goto out;
    }
    /* Encrypted text is base64 in either format when it comes as such; raw means as it is. */
    if (s->format == Q_CRYPTO_SECRET_FORMAT_BASE64) {
        text = base64_decode((char *)*data, *len, &n, errp);
        if (!text) {
            goto out;
        }
        secret_free(*data, *len);
        *data = g_steal_pointer(&text);
        *len = n;
    }
    if (*len % AES_BLOCK || !*len) {
        error_setg(errp, "Length %zu must be a multiple of block size %d", *len, AES_BLOCK);
        goto out;
    }
    if (!crypto_load(errp)) {
        goto out;
    }
    cipher = crypto_cipher_new(Q_CRYPTO_CIPHER_ALGORITHM_AES_256, Q_CRYPTO_CIPHER_MODE_CBC, key, key_len, errp);
    if (!cipher || !crypto_cipher_decrypt(cipher, iv, *data, *len, errp)) {
        goto out;
    }
    pad = (*data)[*len - 1];
    if (pad > AES_BLOCK || pad > *len) {
        error_setg(errp, "Incorrect number of padding bytes (%d) found on decrypted data", pad);
        goto out;
    }
    *len -= pad;
    (*data)[*len] = 0;
    ok = true;
out:
    crypto_wipe(key, key_len);
    return ok;
}

static bool secret_complete(Object *obj, Error **errp)
{
    SecretCommon *s = (SecretCommon *)obj;
    const SecretSource *source = object_ops(obj, &secret_common_type);
    size_t len = 0;
    uint8_t *data = source->read(s, &len, errp);

    if (!data) {
        return false;
    }
    if (s->keyid) {
        if (!decrypt(s, &data, &len, errp)) {
            secret_free(data, len);
            return false;
        }
    } else if (s->format == Q_CRYPTO_SECRET_FORMAT_BASE64) {
        size_t n;
        uint8_t *bytes = base64_decode((char *)data, len, &n, errp);

        secret_free(data, len);
        if (!bytes) {
            return false;
        }
        data = bytes;
        len = n;
    }
    s->bytes = data;
    s->len = len;
    return true;
}

static void secret_finalize(Object *obj)
{
    SecretCommon *s = (SecretCommon *)obj;

    secret_free(s->bytes, s->len);
}

static const ObjectProperty common_properties[] = {
    PROP_BOOL("loaded", SecretCommon, loaded, false, "accepted for old scripts; no effect"),
    PROP_ENUM("format", SecretCommon, format, &qapi_enum_QCryptoSecretFormat, Q_CRYPTO_SECRET_FORMAT_RAW,
              "how the bytes are written"),
    PROP_CLASS_STRING("keyid", SecretCommon, keyid, "the secret that decrypts this one"),
    PROP_CLASS_STRING("iv", SecretCommon, iv, "initialisation vector for that, in base64"),
    PROP_END
};

static const UserCreatableOps creatable_ops = { .complete = secret_complete };

OBJECT_TYPE_STATIC(secret_common_type) = {
    .name = "secret_common",
    .parent = &object_type,
    .instance_size = sizeof(SecretCommon),
    .abstract = true,
    .properties = common_properties,
    .instance_finalize = secret_finalize,
    .impls = TYPE_IMPLS({ &user_creatable_type, &creatable_ops }),
};

/* ---- secret ---- */

typedef struct Secret {
    SecretCommon parent;
    char *data, *file;
} Secret;

static uint8_t *secret_read(SecretCommon *common, size_t *len, Error **errp)
{
    Secret *s = (Secret *)common;
    g_autoptr(GError) gerr = NULL;
    char *text = NULL;

    if (s->data && s->file) {
        error_setg(errp, "'file' and 'data' are mutually exclusive");
    } else if (s->file) {
        if (!g_file_get_contents(s->file, &text, len, &gerr)) {
            error_setg(errp, "Unable to read %s: %s", s->file, gerr->message);
        }
    } else if (s->data) {
        text = g_strdup(s->data);
        *len = strlen(text);
    } else {
        error_setg(errp, "Either 'file' or 'data' must be provided");
    }
    return (uint8_t *)text;
}

static void secret_wipe_data(Object *obj)
{
    Secret *s = (Secret *)obj;

    if (s->data) {
        crypto_wipe(s->data, strlen(s->data));
    }
}

static const ObjectProperty secret_properties[] = {
    PROP_CLASS_STRING("file", Secret, file, "a file that holds the secret"),
    PROP_CLASS_STRING("data", Secret, data, "the secret"),
    PROP_END
};

static const SecretSource secret_source = { .read = secret_read };

OBJECT_TYPE_STATIC(secret_type) = {
    .name = "secret",
    .parent = &secret_common_type,
    .instance_size = sizeof(Secret),
    .description = "a password or key",
    .properties = secret_properties,
    .instance_finalize = secret_wipe_data,
    .impls = TYPE_IMPLS({ &secret_common_type, &secret_source }),
};

/* ---- secret_keyring ---- */

typedef struct SecretKeyring {
    SecretCommon parent;
    int32_t serial;
} SecretKeyring;

static uint8_t *keyring_read(SecretCommon *common, size_t *len, Error **errp)
{
    SecretKeyring *s = (SecretKeyring *)common;
    long need = syscall(SYS_keyctl, KEYCTL_READ, s->serial, NULL, 0, 0), got;
    uint8_t *buf;

    if (need > (long)SECRET_MAX) {
        error_setg(errp, "Key %08x of %ld bytes is too long", s->serial, need);
        return NULL;
    }
    if (need >= 0) {
        buf = g_malloc0(need + 1);
        got = syscall(SYS_keyctl, KEYCTL_READ, s->serial, buf, need, 0);
        if (got >= 0) {
            *len = MIN(got, need);      /* it may have been replaced by a longer one */
            return buf;
        }
        secret_free(buf, need);
    }
    error_setg_errno(errp, errno, "Unable to read serial key %08x", s->serial);
    return NULL;
}

static const ObjectProperty keyring_properties[] = {
    { .name = "serial", .kind = &prop_kind_int32, .offset = offsetof(SecretKeyring, serial),
      .type_name = "int32_t", .description = "number of the key" },
    PROP_END
};

static const SecretSource keyring_source = { .read = keyring_read };

OBJECT_TYPE_STATIC(secret_keyring_type) = {
    .name = "secret_keyring",
    .parent = &secret_common_type,
    .instance_size = sizeof(SecretKeyring),
    .description = "a key of the kernel's key ring",
    .properties = keyring_properties,
    .impls = TYPE_IMPLS({ &secret_common_type, &keyring_source }),
};

/* ---- users ---- */

uint8_t *secret_lookup(const char *id, size_t *len, Error **errp)
{
    Object *obj = object_child(object_objects_root(), id);
    SecretCommon *s = obj ? object_cast_or_null(obj, &secret_common_type) : NULL;
    uint8_t *copy;

    if (!obj) {
        error_setg(errp, "No secret with id '%s'", id);
        return NULL;
    }
    if (!s) {
        error_setg(errp, "Object with id '%s' is not a secret", id);
        return NULL;
    }
    if (!s->bytes) {
        error_setg(errp, "Secret with id '%s' has no data", id);
        return NULL;
    }
    copy = g_malloc(s->len + 1);
    memcpy(copy, s->bytes, s->len + 1);
    *len = s->len;
    return copy;
}

char *secret_lookup_utf8(const char *id, Error **errp)
{
    size_t len;
    uint8_t *bytes = secret_lookup(id, &len, errp);

    if (bytes && !g_utf8_validate((char *)bytes, len, NULL)) {
        error_setg(errp, "Data from secret %s is not valid UTF-8", id);
        secret_free(bytes, len);
        return NULL;
    }
    return (char *)bytes;
}

char *secret_lookup_base64(const char *id, Error **errp)
{
    size_t len;
    uint8_t *bytes = secret_lookup(id, &len, errp);
    char *text;

    if (!bytes) {
        return NULL;
    }
    text = g_base64_encode(bytes, len);
    secret_free(bytes, len);
    return text;
}
