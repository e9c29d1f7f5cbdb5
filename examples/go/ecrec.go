// Package ecrec is libecrec over cgo: batches cross the border in one call, errors are Go errors, nothing is kept in thread-local storage.
//
// The library is found by pkg-config (PKG_CONFIG_PATH when it is not installed in the system). Close what you open; a Model may be
// used by several goroutines, each call takes a session of its own from a pool.
package ecrec

/*
#cgo pkg-config: ecrec
#include <stdlib.h>
#include <string.h>
#include <ecrec/ecrec.h>

// cgo cannot use macros with braces: errors are initialised here. The texts of a call lie one after another in one buffer, so that a batch costs one
// copy and no pointer from Go's memory is kept in C's.
static const char **text_pointers(const char *bytes, const size_t *lengths, const uint8_t *missing, size_t n)
{
    const char **out = malloc((n + 1) * sizeof *out);
    for (size_t i = 0, at = 0; out != NULL && i < n; at += lengths[i++])
        out[i] = missing != NULL && missing[i] ? NULL : bytes + at;
    return out;
}

static int32_t encode_texts(ecrec_model *m, ecrec_session *s, const char *bytes, const size_t *lengths, size_t n, float *vectors, uint32_t d, ecrec_error *err)
{
    const char **texts = text_pointers(bytes, lengths, NULL, n);
    const int32_t status = texts != NULL ? ecrec_encode(m, s, texts, lengths, n, NULL, vectors, d, err) : ECREC_ERR_NOMEM;
    free(texts);
    return status;
}

typedef struct kept { void *bytes; size_t length; } kept;

static int32_t keep(void *opaque, const void *bytes, size_t length)
{
    kept *k = opaque;
    k->bytes = malloc(length + 1);
    if (k->bytes == NULL)
        return 1;
    memcpy(k->bytes, bytes, length);
    k->length = length;
    return 0;
}

static int32_t export_delta(ecrec_model *m, uint64_t from, uint64_t to, kept *out, ecrec_error *err)
{
    const ecrec_sink sink = { (uint32_t)sizeof sink, 0, out, keep };
    return ecrec_delta_export(m, from, to, &sink, err);
}
*/
import "C"

import (
	"encoding/json"
	"math"
	"runtime"
	"sync"
	"unsafe"
)

// Error is what went wrong: a sentence, the code (ECREC_ERR_*) and its name, and the row of the batch or -1.
type Error struct {
	Code    int
	Name    string
	Message string
	Row     int64
}

func (e *Error) Error() string { return e.Message }

// call runs f with an error struct of its own.
func call(f func(err *C.ecrec_error) C.int32_t) error {
	var err C.ecrec_error
	C.ecrec_error_init(&err)
	status := f(&err)
	if status == C.ECREC_OK {
		return nil
	}
	e := &Error{Code: int(status), Name: C.GoString(C.ecrec_status_name(status)), Message: C.GoString(&err.message[0]), Row: -1}
	if e.Message == "" {
		e.Message = e.Name
	}
	if err.row != math.MaxUint64 {
		e.Row = int64(err.row)
	}
	return e
}

// Context says who runs the work; models are made from it.
type Context struct{ c *C.ecrec_context }

// NewContext makes a context whose calls work on so many threads (the caller's included).
func NewContext(threads int) (*Context, error) {
	var options C.ecrec_context_options
	C.ecrec_context_options_init(&options)
	options.threads = C.uint32_t(threads)
	x := &Context{}
	err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_context_create(&options, &x.c, err) })
	if err != nil {
		return nil, err
	}
	return x, nil
}

// Close frees the context; models made from it go on.
func (x *Context) Close() {
	C.ecrec_context_release(x.c)
	x.c = nil
}

// Model is a tokenizer and an encoder, and when it is a ranker, a schema with learned weights.
type Model struct {
	m        *C.ecrec_model
	mutex    sync.Mutex
	sessions []*C.ecrec_session
}

// Load maps a model file.
func (x *Context) Load(path string) (*Model, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	m := &Model{}
	err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_model_load(x.c, name, nil, &m.m, err) })
	if err != nil {
		return nil, err
	}
	return m, nil
}

// NewRanker makes a ranker of a schema (JSON text); base encodes its texts and may be nil.
func (x *Context) NewRanker(schema string, base *Model) (*Model, error) {
	var s *C.ecrec_schema
	text := C.CString(schema)
	defer C.free(unsafe.Pointer(text))
	if err := call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_schema_parse(x.c, text, C.size_t(len(schema)), &s, err)
	}); err != nil {
		return nil, err
	}
	defer C.ecrec_schema_release(s)
	m := &Model{}
	var b *C.ecrec_model
	if base != nil {
		b = base.m
	}
	if err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_ranker_create(x.c, b, s, &m.m, err) }); err != nil {
		return nil, err
	}
	return m, nil
}

// Close frees the model and its sessions. No call on it may be running.
func (m *Model) Close() {
	for _, s := range m.sessions {
		C.ecrec_session_release(s)
	}
	m.sessions = nil
	C.ecrec_model_release(m.m)
	m.m = nil
}

// with runs f with a session that no other goroutine has.
func (m *Model) with(f func(s *C.ecrec_session) error) error {
	var s *C.ecrec_session
	m.mutex.Lock()
	if n := len(m.sessions); n > 0 {
		s, m.sessions = m.sessions[n-1], m.sessions[:n-1]
	}
	m.mutex.Unlock()
	if s == nil {
		if err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_session_create(m.m, nil, &s, err) }); err != nil {
			return err
		}
	}
	defer func() {
		m.mutex.Lock()
		m.sessions = append(m.sessions, s)
		m.mutex.Unlock()
	}()
	return f(s)
}

// Save writes the current snapshot: all of it, or nothing.
func (m *Model) Save(path string) error {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	return call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_model_save(m.m, name, err) })
}

// Dimension is the length of a text's vector; 0 without an encoder.
func (m *Model) Dimension() int { return int(C.ecrec_model_dimension(m.m)) }

// packed is strings one after another, with their lengths; never empty, so that its elements have addresses.
func packed(texts []string) (bytes []byte, lengths []C.size_t) {
	total := 0
	for _, t := range texts {
		total += len(t)
	}
	bytes, lengths = make([]byte, 0, total+1), make([]C.size_t, len(texts)+1)
	for i, t := range texts {
		bytes = append(bytes, t...)
		lengths[i] = C.size_t(len(t))
	}
	return append(bytes, 0), lengths
}

// Encode turns texts into vectors, rows of one block.
func (m *Model) Encode(texts []string) ([][]float32, error) {
	d := m.Dimension()
	bytes, lengths := packed(texts)
	block := make([]float32, len(texts)*d+1)
	err := m.with(func(s *C.ecrec_session) error {
		return call(func(err *C.ecrec_error) C.int32_t {
			return C.encode_texts(m.m, s, (*C.char)(unsafe.Pointer(&bytes[0])), &lengths[0], C.size_t(len(texts)), (*C.float)(&block[0]), C.uint32_t(d), err)
		})
	})
	if err != nil {
		return nil, err
	}
	rows := make([][]float32, len(texts))
	for i := range rows {
		rows[i] = block[i*d : (i+1)*d : (i+1)*d]
	}
	return rows, nil
}

// Dot is the dot product: the cosine of vectors of unit length.
func Dot(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// Score gives Outputs scores for each row, row after row: a probability or a value a label, one a class for a label of classes.
func (m *Model) Score(b *Batch) ([]float32, error) {
	scores := make([]float32, b.rows*b.outputs+1)
	err := m.with(func(s *C.ecrec_session) error {
		return call(func(err *C.ecrec_error) C.int32_t {
			return C.ecrec_score(m.m, s, b.b, nil, (*C.float)(&scores[0]), C.size_t(b.rows*b.outputs), err)
		})
	})
	runtime.KeepAlive(b)
	if err != nil {
		return nil, err
	}
	return scores[:b.rows*b.outputs], nil
}

// Update learns from labelled rows, all or nothing; the report as JSON has it.
func (m *Model) Update(b *Batch) (map[string]interface{}, error) {
	var report *C.ecrec_report
	err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_update(m.m, b.b, nil, &report, err) })
	defer C.ecrec_report_release(report) // a refused update has one, too
	if err != nil {
		return nil, err
	}
	var out map[string]interface{}
	if err := json.Unmarshal([]byte(C.GoString(C.ecrec_report_json(report))), &out); err != nil {
		return nil, err
	}
	return out, nil
}

// Snapshot is the number of the current snapshot.
func (m *Model) Snapshot() uint64 { return uint64(C.ecrec_model_snapshot(m.m)) }

// Rebin cuts all number fields with bins anew, by the numbers seen so far; their weights go along.
func (m *Model) Rebin() error {
	return call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_rebin(m.m, nil, nil, nil, err) })
}

// Expire ends a period: values of fields with expire_after that were not seen in so many of them start anew.
func (m *Model) Expire() error {
	return call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_expire(m.m, nil, err) })
}

// Rollback makes a kept snapshot the current one, bit for bit.
func (m *Model) Rollback(snapshot uint64) error {
	return call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_rollback(m.m, C.uint64_t(snapshot), err) })
}

// Export gives what was learned from one kept snapshot to another (0: the current one), for Apply elsewhere.
func (m *Model) Export(from, to uint64) ([]byte, error) {
	var k C.kept
	err := call(func(err *C.ecrec_error) C.int32_t {
		return C.export_delta(m.m, C.uint64_t(from), C.uint64_t(to), &k, err)
	})
	defer C.free(k.bytes)
	if err != nil {
		return nil, err
	}
	return C.GoBytes(k.bytes, C.int(k.length)), nil
}

// Apply makes a delta's result the current snapshot, to the same bits; scoring goes on meanwhile. Its number.
func (m *Model) Apply(delta []byte) (uint64, error) {
	var number C.uint64_t
	bytes := C.CBytes(delta)
	defer C.free(bytes)
	err := call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_delta_apply(m.m, bytes, C.size_t(len(delta)), &number, err)
	})
	return uint64(number), err
}

// State is a fingerprint of what the current snapshot has learned.
func (m *Model) State() (string, error) {
	var text [33]C.char
	err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_model_state(m.m, 0, &text[0], err) })
	return C.GoString(&text[0]), err
}
