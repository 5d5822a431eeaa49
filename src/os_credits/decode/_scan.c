/* Find keys and samples in the usual remote write 1.0 body: `scan.py` says which, and
 * `scan_python.py` does the same without a compiler; the tests hold both to the same result.
 *
 * No byte is read that was not compared with the end of the body before, and nothing is kept
 * between two calls. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define MORE 0x80           /* the bit of a varint that says: another byte follows */
#define LENGTH_BYTES_MAX 4  /* of a time series: up to 256 MiB */
#define LABEL_START_MAX 1997
#define TIME_BYTES 6
#define SAMPLE_BYTES 18
#define ZERO_SAMPLE_BYTES 9
#define FIRST_CAPACITY 4096

static const unsigned char SERIES_TAG = 0x0A, LABEL_TAG = 0x0A, TIME_TAG = 0x10;
static const unsigned char SAMPLE_HEAD[3] = {0x12, 0x10, 0x09};
static const unsigned char ZERO_SAMPLE_HEAD[3] = {0x12, 0x07, 0x10};

/* A column that grows; `item` bytes for each of `count` items. */
typedef struct {
    char *items;
    size_t item, count, capacity;
} Column;

/* Append one item: 0, or -1 with MemoryError set. */
static int append(Column *column, const void *item)
{
    if (column->count == column->capacity) {
        size_t capacity = column->capacity ? 2 * column->capacity : FIRST_CAPACITY;
        char *items = NULL;
        if (capacity <= (size_t)PY_SSIZE_T_MAX / column->item)
            items = PyMem_Realloc(column->items, capacity * column->item);
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        column->items = items;
        column->capacity = capacity;
    }
    memcpy(column->items + column->count++ * column->item, item, column->item);
    return 0;
}

static PyObject *column_bytes(const Column *column)
{
    return PyBytes_FromStringAndSize(column->items, (Py_ssize_t)(column->count * column->item));
}

/* Read the length at `at`, in as few bytes as can be; NULL if there is none before `end`. */
static const unsigned char *
read_length(const unsigned char *at, const unsigned char *end, int bytes_max, size_t *length)
{
    size_t read = 0;
    for (int index = 0; index < bytes_max && at < end; index++) {
        unsigned char byte = *at++;
        read |= (size_t)(byte & (MORE - 1)) << (7 * index);
        if (byte < MORE) {
            *length = read;
            return index && !byte ? NULL : at;
        }
    }
    return NULL;
}

/* Say where the labels end with which a series starts; NULL where they are unusual. */
static const unsigned char *
labels_end(const unsigned char *start, const unsigned char *end)
{
    const unsigned char *at = start;
    while (at < end && *at == LABEL_TAG) {
        size_t length;
        if (at - start > LABEL_START_MAX)
            return NULL;
        at = read_length(at + 1, end, 2, &length);
        if (at == NULL || length > (size_t)(end - at))
            return NULL;
        at += length;
    }
    return at;
}

/* Read the usual sample at `at`; NULL if there is none before `end`. */
static const unsigned char *
read_sample(const unsigned char *at, const unsigned char *end, uint64_t *value, int64_t *time_ms)
{
    *value = 0;
    *time_ms = 0;
    if (end - at >= SAMPLE_BYTES && !memcmp(at, SAMPLE_HEAD, 3) && at[11] == TIME_TAG) {
        for (int index = 0; index < 8; index++)
            *value |= (uint64_t)at[3 + index] << (8 * index);
        at += SAMPLE_BYTES;
    } else if (end - at >= ZERO_SAMPLE_BYTES && !memcmp(at, ZERO_SAMPLE_HEAD, 3)) {
        at += ZERO_SAMPLE_BYTES;
    } else {
        return NULL;
    }
    for (int index = 0; index < TIME_BYTES; index++) {
        unsigned char byte = at[index - TIME_BYTES];
        if ((byte < MORE) != (index == TIME_BYTES - 1))
            return NULL;
        *time_ms |= (int64_t)(byte & (MORE - 1)) << (7 * index);
    }
    return at;
}

typedef struct {
    const unsigned char *body;
    Column starts, ends, counts, times, values;
    size_t several; /* samples of series that have more than one */
} Found;

/* Take over one series: 1, or 0 if it is unusual, or -1 with an exception set. */
static int
take_series(Found *found, const unsigned char *start, const unsigned char *end, size_t pieces_max)
{
    const unsigned char *at = labels_end(start, end);
    uint32_t count = 0;
    if (at == NULL || at == end)
        return 0;
    int64_t key_start = start - found->body, key_end = at - found->body;
    if (append(&found->starts, &key_start) < 0 || append(&found->ends, &key_end) < 0)
        return -1;
    while (at < end) {
        uint64_t value;
        int64_t time_ms;
        at = read_sample(at, end, &value, &time_ms);
        if (at == NULL || found->several + count > pieces_max)
            return 0;
        if (append(&found->times, &time_ms) < 0 || append(&found->values, &value) < 0)
            return -1;
        count++;
    }
    if (count > 1)
        found->several += count;
    if (found->several > pieces_max)
        return 0;
    return append(&found->counts, &count) < 0 ? -1 : 1;
}

static int
take_body(Found *found, const unsigned char *at, const unsigned char *end, size_t pieces_max)
{
    while (at < end) {
        size_t length;
        if (*at != SERIES_TAG || found->counts.count >= pieces_max)
            return 0;
        at = read_length(at + 1, end, LENGTH_BYTES_MAX, &length);
        if (at == NULL || length > (size_t)(end - at))
            return 0;
        int taken = take_series(found, at, at + length, pieces_max);
        if (taken != 1)
            return taken;
        at += length;
    }
    return found->counts.count > 0;
}

static PyObject *scan_v1(PyObject *Py_UNUSED(module), PyObject *const *words, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(words[0])) {
        PyErr_SetString(PyExc_TypeError, "scan_v1(body: bytes, pieces_max: int)");
        return NULL;
    }
    size_t pieces_max = PyLong_AsSize_t(words[1]);
    if (pieces_max == (size_t)-1 && PyErr_Occurred())
        return NULL;
    const unsigned char *body = (const unsigned char *)PyBytes_AS_STRING(words[0]);
    const Column wide = {NULL, 8, 0, 0}, narrow = {NULL, 4, 0, 0};
    Found found = {body, wide, wide, narrow, wide, wide, 0};
    int taken = take_body(&found, body, body + PyBytes_GET_SIZE(words[0]), pieces_max);
    PyObject *result = NULL;
    if (taken == 0)
        result = Py_NewRef(Py_None);
    else if (taken == 1)
        result = Py_BuildValue(
            "NNNNN", column_bytes(&found.starts), column_bytes(&found.ends),
            column_bytes(&found.counts), column_bytes(&found.times), column_bytes(&found.values));
    PyMem_Free(found.starts.items);
    PyMem_Free(found.ends.items);
    PyMem_Free(found.counts.items);
    PyMem_Free(found.times.items);
    PyMem_Free(found.values.items);
    return result;
}

static PyMethodDef METHODS[] = {
    {"scan_v1", (PyCFunction)(void (*)(void))scan_v1, METH_FASTCALL,
     "Say where the keys of a usual body start and end, and counts, times, values of samples."},
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
    PyModuleDef_HEAD_INIT, .m_name = "_scan", .m_methods = METHODS, .m_slots = SLOTS};

PyMODINIT_FUNC PyInit__scan(void);
PyMODINIT_FUNC PyInit__scan(void)
{
    return PyModuleDef_Init(&MODULE);
}
