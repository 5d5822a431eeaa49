/* Fingerprints of keys, and where they stand in a table: `fingerprints.py` and
 * `fingerprint_table.py` say what both are, and go without where there is no compiler.
 *
 * Nothing is kept between two calls, and nothing is read or written beyond what was handed in. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define WORD 8
#define PRINT_BYTES 16
#define SECRET_BYTES 16
#define AHEAD 8 /* so many prints before its turn a slot is asked for */

static const int64_t STRANGER = -1;

typedef struct {
    uint64_t low, high;
    int64_t number;
} Slot;

static uint64_t rotated(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static void siphash_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

static uint64_t siphash_end(uint64_t v[4])
{
    for (int round = 0; round < 3; round++)
        siphash_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void take_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    siphash_round(v);
    v[0] ^= word;
}

/* A key on its way to a fingerprint. */
typedef struct {
    const unsigned char *at;
    size_t length, words;
    uint64_t v[4];
} Key;

static Key begun_key(const unsigned char *at, size_t length, const uint64_t secret[2])
{
    return (Key){at, length, length / WORD, {
        secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d ^ 0xee,
        secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573,
    }};
}

static void take_words(Key *key, size_t first, size_t end)
{
    uint64_t word;
    for (size_t index = first; index < end; index++) {
        memcpy(&word, key->at + index * WORD, WORD);
        take_word(key->v, word);
    }
}

/* Take the words that both keys have in step: a processor works on both at the same time. */
static size_t take_both(Key *one, Key *other)
{
    size_t shared = one->words < other->words ? one->words : other->words;
    for (size_t index = 0; index < shared; index++) {
        take_words(one, index, index + 1);
        take_words(other, index, index + 1);
    }
    return shared;
}

static void end_key(Key *key, size_t taken, unsigned char *print)
{
    uint64_t low, high, word = (uint64_t)key->length << 56;
    take_words(key, taken, key->words);
    for (size_t index = 0; index < key->length % WORD; index++)
        word |= (uint64_t)key->at[key->words * WORD + index] << (8 * index);
    take_word(key->v, word);
    key->v[2] ^= 0xee;
    low = siphash_end(key->v);
    key->v[1] ^= 0xdd;
    high = siphash_end(key->v);
    memcpy(print, &low, WORD);
    memcpy(print + WORD, &high, WORD);
}

/* Take the fingerprints of all keys, SipHash-1-3 with a result of 128 bits (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF"): 0, or -1 if a key lies beyond the body. */
static int take_prints(const Py_buffer *body, const Py_buffer *starts, const Py_buffer *ends,
                       const uint64_t secret[2], unsigned char *prints)
{
    const int64_t *start = starts->buf, *end = ends->buf;
    Py_ssize_t count = starts->len / WORD;
    for (Py_ssize_t first = 0; first < count; first += 2) {
        Key keys[2];
        int together = first + 1 < count ? 2 : 1;
        for (int index = 0; index < together; index++) {
            int64_t from = start[first + index], until = end[first + index];
            if (from < 0 || until < from || until > body->len)
                return -1;
            keys[index] = begun_key((const unsigned char *)body->buf + from,
                                    (size_t)(until - from), secret);
        }
        size_t taken = together == 2 ? take_both(&keys[0], &keys[1]) : 0;
        for (int index = 0; index < together; index++)
            end_key(&keys[index], taken, prints + (first + index) * PRINT_BYTES);
    }
    return 0;
}

static PyObject *fingerprints(PyObject *Py_UNUSED(module), PyObject *words)
{
    Py_buffer body, starts, ends, secret;
    if (!PyArg_ParseTuple(words, "y*y*y*y*", &body, &starts, &ends, &secret))
        return NULL;
    PyObject *prints = NULL;
    if (secret.len != SECRET_BYTES || starts.len != ends.len || starts.len % WORD) {
        PyErr_SetString(PyExc_ValueError, "starts and ends are int64, the secret is of 16 bytes");
    } else {
        uint64_t words_of_secret[2];
        memcpy(words_of_secret, secret.buf, SECRET_BYTES);
        prints = PyBytes_FromStringAndSize(NULL, starts.len / WORD * PRINT_BYTES);
        if (prints && take_prints(&body, &starts, &ends, words_of_secret,
                                  (unsigned char *)PyBytes_AS_STRING(prints)) < 0) {
            Py_CLEAR(prints);
            PyErr_SetString(PyExc_ValueError, "a key lies beyond the body");
        }
    }
    PyBuffer_Release(&body);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&ends);
    PyBuffer_Release(&secret);
    return prints;
}

/* Find the number that stands with each print; STRANGER where there is none. */
static void find_numbers(const Slot *slots, size_t count, const unsigned char *prints,
                         size_t print_count, int64_t *numbers)
{
    for (size_t place = 0; place < print_count; place++) {
        uint64_t print[2], later;
        if (place + AHEAD < print_count) {
            memcpy(&later, prints + (place + AHEAD) * PRINT_BYTES, WORD);
            __builtin_prefetch(slots + (later & (count - 1)));
        }
        memcpy(print, prints + place * PRINT_BYTES, PRINT_BYTES);
        numbers[place] = STRANGER;
        for (size_t step = 0; step < count; step++) {
            const Slot *slot = slots + ((print[0] + step) & (count - 1));
            if (slot->number == STRANGER)
                break;
            if (slot->low == print[0] && slot->high == print[1]) {
                numbers[place] = slot->number;
                break;
            }
        }
    }
}

static PyObject *find(PyObject *Py_UNUSED(module), PyObject *words)
{
    Py_buffer slots, prints;
    if (!PyArg_ParseTuple(words, "y*y*", &slots, &prints))
        return NULL;
    PyObject *numbers = NULL;
    size_t count = (size_t)slots.len / sizeof(Slot);
    if (slots.len % sizeof(Slot) || !count || count & (count - 1) || prints.len % PRINT_BYTES) {
        PyErr_SetString(PyExc_ValueError, "slots are 24 bytes, a power of two; prints are 16 bytes");
    } else {
        Py_ssize_t print_count = prints.len / PRINT_BYTES;
        numbers = PyBytes_FromStringAndSize(NULL, print_count * (Py_ssize_t)sizeof(int64_t));
        if (numbers)
            find_numbers(slots.buf, count, prints.buf, (size_t)print_count,
                         (int64_t *)(void *)PyBytes_AS_STRING(numbers));
    }
    PyBuffer_Release(&slots);
    PyBuffer_Release(&prints);
    return numbers;
}

static PyMethodDef METHODS[] = {
    {"fingerprints", fingerprints, METH_VARARGS,
     "Give the fingerprints, 16 bytes each, of the keys between starts and ends of a body."},
    {"find", find, METH_VARARGS, "Give the numbers that stand in slots with these fingerprints."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_fingerprint", .m_methods = METHODS, .m_slots = SLOTS};

PyMODINIT_FUNC PyInit__fingerprint(void);
PyMODINIT_FUNC PyInit__fingerprint(void)
{
    return PyModuleDef_Init(&MODULE);
}
