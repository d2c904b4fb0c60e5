/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hashes and ciphers against published vectors; secret objects. */
#include "util/osdep.h"
#include <sys/syscall.h>
#include "crypto/crypto.h"
#include "crypto/secret.h"
#include "qom/object.h"

static void assert_hex(const uint8_t *data, size_t len, const char *expected)
{
    GString *s = g_string_new(NULL);

    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(s, "%02x", data[i]);
    }
    g_assert_cmpstr(s->str, ==, expected);
    g_string_free(s, true);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        sscanf(hex + 2 * i, "%2hhx", &out[i]);
    }
    return n;
}

/* ---- algorithms ---- */

static void test_hash(void)
{
    /* "abc" in two pieces: RFC 1321, RFC 3174, FIPS 180-4, the RIPEMD-160 paper. */
    static const char *const expected[Q_CRYPTO_HASH_ALGORITHM__MAX] = {
        [Q_CRYPTO_HASH_ALGORITHM_MD5] = "900150983cd24fb0d6963f7d28e17f72",
        [Q_CRYPTO_HASH_ALGORITHM_SHA1] = "a9993e364706816aba3e25717850c26c9cd0d89d",
        [Q_CRYPTO_HASH_ALGORITHM_SHA224] = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        [Q_CRYPTO_HASH_ALGORITHM_SHA256] =
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        [Q_CRYPTO_HASH_ALGORITHM_SHA384] =
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
            "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        [Q_CRYPTO_HASH_ALGORITHM_SHA512] =
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        [Q_CRYPTO_HASH_ALGORITHM_RIPEMD160] = "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    };
    struct iovec iov[] = { { (void *)"a", 1 }, { (void *)"bc", 2 } };
    uint8_t out[CRYPTO_HASH_MAX];

    for (int alg = 0; alg < Q_CRYPTO_HASH_ALGORITHM__MAX; alg++) {
        crypto_hash(alg, iov, ARRAY_SIZE(iov), out, &error_abort);
        assert_hex(out, crypto_hash_len(alg), expected[alg]);
    }
}

static void test_hmac_pbkdf2(void)
{
    uint8_t out[64];

    /* RFC 4231 case 2, RFC 6070 case 3 */
    crypto_hmac(Q_CRYPTO_HASH_ALGORITHM_SHA256, "Jefe", 4, "what do ya want for nothing?", 28, out, &error_abort);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    crypto_pbkdf2(Q_CRYPTO_HASH_ALGORITHM_SHA1, "password", 8, "salt", 4, 4096, out, 20, &error_abort);
    assert_hex(out, 20, "4b007901b765489abead49d926f721d065a429c1");
    g_assert_cmpuint(crypto_pbkdf2_per_second(Q_CRYPTO_HASH_ALGORITHM_SHA256, 32, &error_abort), >, 100);
}

typedef struct CipherCase {
    QCryptoCipherAlgorithm alg;
    QCryptoCipherMode mode;
    const char *key, *iv, *plain, *cipher;
} CipherCase;

static const CipherCase cipher_cases[] = {
    /* FIPS 197 C.1, SP 800-38A F.2.5 and F.5.1, IEEE 1619 vector 2, RFC 2144 B.1 */
    { Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_MODE_ECB, "000102030405060708090a0b0c0d0e0f", NULL,
      "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a" },
    { Q_CRYPTO_CIPHER_ALGORITHM_AES_256, Q_CRYPTO_CIPHER_MODE_CBC,
      "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "000102030405060708090a0b0c0d0e0f",
      "6bc1bee22e409f96e93d7e117393172a", "f58c4c04d6e5f1ba779eabfb5f7bfbd6" },
    { Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_MODE_CTR, "2b7e151628aed2a6abf7158809cf4f3c",
      "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "6bc1bee22e409f96e93d7e117393172a",
      "874d6191b620e3261bef6864990db6ce" },
    { Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_MODE_XTS,
      "1111111111111111111111111111111122222222222222222222222222222222", "33333333330000000000000000000000",
      "4444444444444444444444444444444444444444444444444444444444444444",
      "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0" },
    { Q_CRYPTO_CIPHER_ALGORITHM_CAST5_128, Q_CRYPTO_CIPHER_MODE_ECB, "0123456712345678234567893456789a", NULL,
      "0123456789abcdef", "238b4fe5847e44b2" },
};

static void test_cipher(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(cipher_cases); i++) {
        const CipherCase *c = &cipher_cases[i];
        uint8_t key[64], iv[16], buf[64];
        size_t key_len = from_hex(c->key, key), len = from_hex(c->plain, buf);
        g_autoptr(CryptoCipher) cipher = crypto_cipher_new(c->alg, c->mode, key, key_len, &error_abort);

        if (c->iv) {
            g_assert_cmpuint(from_hex(c->iv, iv), ==, crypto_cipher_iv_len(c->alg, c->mode));
        }
        crypto_cipher_encrypt(cipher, c->iv ? iv : NULL, buf, len, &error_abort);
        assert_hex(buf, len, c->cipher);
        crypto_cipher_decrypt(cipher, c->iv ? iv : NULL, buf, len, &error_abort);
        assert_hex(buf, len, c->plain);
    }
}

static void test_cipher_refused(void)
{
    Error *err = NULL;
    uint8_t key[64] = { 0 };

    g_assert_null(crypto_cipher_new(Q_CRYPTO_CIPHER_ALGORITHM_AES_128, Q_CRYPTO_CIPHER_MODE_XTS, key, 16, &err));
    g_assert_cmpstr(error_message(err), ==, "Cipher key length 16 should be 32");
    g_clear_pointer(&err, error_free);
    g_assert_null(crypto_cipher_new(Q_CRYPTO_CIPHER_ALGORITHM_CAST5_128, Q_CRYPTO_CIPHER_MODE_XTS, key, 32, &err));
    g_assert_nonnull(strstr(error_message(err), "cast5-128"));
    g_clear_pointer(&err, error_free);
    g_assert_null(crypto_cipher_new(Q_CRYPTO_CIPHER_ALGORITHM_TWOFISH_192, Q_CRYPTO_CIPHER_MODE_CBC, key, 24, &err));
    g_assert_nonnull(strstr(error_message(err), "twofish-192"));
    error_free(err);
}

/* ---- secrets ---- */

static bool add(const char *text, Error **errp)
{
    g_autoptr(JsonValue) options = keyval_parse(text, "qom-type", NULL, &error_abort);

    return user_creatable_add(options, errp) != NULL;
}

static void assert_secret(const char *id, const char *expected, size_t expected_len)
{
    size_t len;
    uint8_t *bytes = secret_lookup(id, &len, &error_abort);

    g_assert_cmpmem(bytes, len, expected, expected_len);
    g_assert_cmpint(bytes[len], ==, 0);
    secret_free(bytes, len);
}

static void assert_refused(const char *text, const char *message)
{
    Error *err = NULL;

    g_assert_false(add(text, &err));
    g_assert_cmpstr(error_message(err), ==, message);
    error_free(err);
}

static void test_secret(void)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "nemu-secret-XXXXXX", NULL);
    g_autofree char *option = NULL;
    int fd = g_mkstemp(path);

    g_assert_cmpint(write(fd, "a\0b", 3), ==, 3);
    close(fd);
    add("secret,id=plain,data=hello", &error_abort);
    assert_secret("plain", "hello", 5);
    add("secret,id=b64,format=base64,data=aGVsbG8=", &error_abort);
    assert_secret("b64", "hello", 5);
    option = g_strdup_printf("secret,id=file,file=%s", path);
    add(option, &error_abort);
    assert_secret("file", "a\0b", 3);
    unlink(path);
    assert_refused("secret,id=x", "Either 'file' or 'data' must be provided");
    assert_refused("secret,id=x,data=a,file=b", "'file' and 'data' are mutually exclusive");
    assert_refused("secret,id=x,format=base64,data=a*b", "Base64 data is not valid");
    g_assert_null(object_child(object_objects_root(), "x"));
    user_creatable_del("plain", &error_abort);
    user_creatable_del("b64", &error_abort);
    user_creatable_del("file", &error_abort);
}

/* What "openssl enc -aes-256-cbc -K 00..1f -iv 00..0f" makes of "123456". */
#define KEY_B64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define IV_B64 "AAECAwQFBgcICQoLDA0ODw=="

static void test_secret_encrypted(void)
{
    uint8_t key[32], iv[16], buf[16] = "123456\n\n\n\n\n\n\n\n\n\n";
    g_autoptr(CryptoCipher) cipher = NULL;
    g_autofree char *text = NULL, *option = NULL;
    Error *err = NULL;
    size_t len;

    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = i;
    }
    memcpy(iv, key, sizeof(iv));
    cipher = crypto_cipher_new(Q_CRYPTO_CIPHER_ALGORITHM_AES_256, Q_CRYPTO_CIPHER_MODE_CBC, key, 32, &error_abort);
    crypto_cipher_encrypt(cipher, iv, buf, sizeof(buf), &error_abort);
    text = g_base64_encode(buf, sizeof(buf));

    add("secret,id=master,format=base64,data=" KEY_B64, &error_abort);
    option = g_strdup_printf("secret,id=s,format=base64,keyid=master,iv=" IV_B64 ",data=%s", text);
    add(option, &error_abort);
    assert_secret("s", "123456", 6);

    assert_refused("secret,id=x,keyid=master,data=abc", "IV is required to decrypt secret");
    assert_refused("secret,id=x,keyid=master,iv=QUJD,data=abc", "IV should be 16 bytes in length not 3");
    assert_refused("secret,id=x,keyid=master,iv=" IV_B64 ",data=abc",
                   "Length 3 must be a multiple of block size 16");
    assert_refused("secret,id=x,keyid=s,iv=" IV_B64 ",data=abc", "Key should be 32 bytes in length");
    assert_refused("secret,id=x,keyid=none,data=abc", "No secret with id 'none'");

    g_assert_null(secret_lookup_utf8("none", &err));
    g_clear_pointer(&err, error_free);
    add("secret,id=binary,format=base64,data=/w==", &error_abort);
    g_assert_null(secret_lookup_utf8("binary", &err));
    g_assert_cmpstr(error_message(err), ==, "Data from secret binary is not valid UTF-8");
    error_free(err);
    g_free(text);
    text = secret_lookup_base64("binary", &error_abort);
    g_assert_cmpstr(text, ==, "/w==");
    g_free(text);
    text = (char *)secret_lookup("s", &len, &error_abort);
    g_assert_cmpuint(len, ==, 6);
}

static void test_keyring(void)
{
    long serial = syscall(SYS_add_key, "user", "nemu-test", "from keyring", 12, -1 /* thread key ring */);
    g_autofree char *option = NULL;

    assert_refused("secret_keyring,id=x,serial=1", "Unable to read serial key 00000001: Required key not available");
    if (serial < 0) {
        g_test_skip("no key rings here");
        return;
    }
    option = g_strdup_printf("secret_keyring,id=kr,serial=%ld", serial);
    add(option, &error_abort);
    assert_secret("kr", "from keyring", 12);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    crypto_load(&error_abort);
    g_test_add_func("/crypto/hash", test_hash);
    g_test_add_func("/crypto/hmac-pbkdf2", test_hmac_pbkdf2);
    g_test_add_func("/crypto/cipher", test_cipher);
    g_test_add_func("/crypto/cipher-refused", test_cipher_refused);
    g_test_add_func("/secret/plain", test_secret);
    g_test_add_func("/secret/encrypted", test_secret_encrypted);
    g_test_add_func("/secret/keyring", test_keyring);
    return g_test_run();
}
