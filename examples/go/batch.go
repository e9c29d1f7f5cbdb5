package ecrec

/*
#include <stdlib.h>
#include <ecrec/ecrec.h>

// Of strings that lie one after another; flags says which are missing.
static const char **string_pointers(const char *bytes, const size_t *lengths, const uint8_t *missing, size_t n)
{
    const char **out = malloc((n + 1) * sizeof *out);
    for (size_t i = 0, at = 0; out != NULL && i < n; at += lengths[i++])
        out[i] = missing != NULL && missing[i] ? NULL : bytes + at;
    return out;
}

static int32_t set_strings(ecrec_batch *b, int text, uint32_t field, const char *bytes, const size_t *lengths, const uint8_t *missing, size_t n, ecrec_error *err)
{
    const char **strings = string_pointers(bytes, lengths, missing, n);
    const int32_t status = strings == NULL ? ECREC_ERR_NOMEM : text ? ecrec_batch_set_text(b, field, strings, lengths, err) :
                                                                      ecrec_batch_set_category(b, field, strings, lengths, err);
    free(strings);
    return status;
}

static int32_t set_multi(ecrec_batch *b, uint32_t field, const size_t *items, const char *bytes, const size_t *lengths, size_t n, const float *weights,
                         const uint8_t *valid, ecrec_error *err)
{
    const char **strings = string_pointers(bytes, lengths, NULL, n);
    const int32_t status = strings == NULL ? ECREC_ERR_NOMEM : ecrec_batch_set_multi(b, field, items, strings, lengths, weights, valid, err);
    free(strings);
    return status;
}

static int32_t set_history(ecrec_batch *b, uint32_t field, const size_t *events, const char *bytes, const size_t *lengths, size_t n, const uint32_t *types,
                           const int64_t *times, const int64_t *now, const uint8_t *valid, ecrec_error *err)
{
    const char **strings = string_pointers(bytes, lengths, NULL, n);
    ecrec_history history = ECREC_HISTORY_INIT;
    history.events = events, history.items = strings, history.lengths = lengths, history.types = types, history.times = times;
    history.now = now, history.valid = valid;
    const int32_t status = strings == NULL ? ECREC_ERR_NOMEM : ecrec_batch_set_history(b, field, &history, err);
    free(strings);
    return status;
}
*/
import "C"

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Batch is rows of records for a ranker.
type Batch struct {
	b       *C.ecrec_batch
	schema  *C.ecrec_schema
	rows    int
	outputs int
	model   *Model // the schema lives as long as the model
}

// NewBatch makes a batch of so many rows; columns that are never set are missing.
func (m *Model) NewBatch(rows int) (*Batch, error) {
	schema := C.ecrec_model_schema(m.m)
	if schema == nil {
		return nil, &Error{Code: C.ECREC_ERR_UNSUPPORTED, Name: "ECREC_ERR_UNSUPPORTED", Message: "the model is not a ranker", Row: -1}
	}
	b := &Batch{schema: schema, rows: rows, outputs: int(C.ecrec_schema_outputs(schema)), model: m}
	if err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_batch_create(schema, &b.b, err) }); err != nil {
		return nil, err
	}
	if err := call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_batch_reset(b.b, C.size_t(rows), err) }); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close frees the batch.
func (b *Batch) Close() {
	C.ecrec_batch_release(b.b)
	b.b = nil
}

func (b *Batch) column(name string, rows int, label bool) (C.uint32_t, error) {
	if rows != b.rows {
		return 0, fmt.Errorf("%q has %d rows, the batch %d", name, rows, b.rows)
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var index C.uint32_t
	if label {
		index = C.ecrec_schema_find_label(b.schema, text)
	} else {
		index = C.ecrec_schema_find_field(b.schema, text)
	}
	if index == math.MaxUint32 {
		return 0, fmt.Errorf("the schema has no %q", name)
	}
	return index, nil
}

// SetStrings sets a text, category, user or item column; missing (may be nil) tells the rows that have none.
func (b *Batch) SetStrings(name string, values []string, missing []bool) error {
	index, err := b.column(name, len(values), false)
	if err != nil {
		return err
	}
	if missing != nil && len(missing) != b.rows {
		return fmt.Errorf("%q: missing has %d rows, the batch %d", name, len(missing), b.rows)
	}
	text := C.int(0)
	if C.ecrec_schema_field_kind(b.schema, index) == C.ECREC_FIELD_TEXT {
		text = 1
	}
	bytes, lengths := packed(values)
	flags := make([]C.uint8_t, len(values)+1)
	for i := range missing {
		if missing[i] {
			flags[i] = 1
		}
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.set_strings(b.b, text, index, (*C.char)(unsafe.Pointer(&bytes[0])), &lengths[0], &flags[0], C.size_t(b.rows), err)
	})
}

// SetNumbers sets a number column; NaN is missing.
func (b *Batch) SetNumbers(name string, values []float64) error {
	index, err := b.column(name, len(values), false)
	if err != nil {
		return err
	}
	numbers, valid := make([]C.double, len(values)+1), make([]C.uint8_t, len(values)+1)
	for i, v := range values {
		numbers[i] = C.double(v)
		if !math.IsNaN(v) {
			valid[i] = 1
		}
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_batch_set_number(b.b, index, &numbers[0], &valid[0], err)
	})
}

// SetVectors sets a vector or image column of rows of equal length; a nil row is missing.
func (b *Batch) SetVectors(name string, rows [][]float32) error {
	index, err := b.column(name, len(rows), false)
	if err != nil || len(rows) == 0 {
		return err
	}
	d := 0
	for _, row := range rows {
		if len(row) > d {
			d = len(row)
		}
	}
	block, valid := make([]C.float, 0, len(rows)*d+1), make([]C.uint8_t, len(rows))
	for i, row := range rows {
		if row != nil && len(row) != d {
			return fmt.Errorf("%q: row %d has %d values, others have %d", name, i, len(row), d)
		}
		for _, v := range row {
			block = append(block, C.float(v))
		}
		if row != nil {
			valid[i] = 1
		} else {
			block = block[:len(block)+d]
		}
	}
	if d == 0 {
		return nil // all are missing, as in a column never set
	}
	block = append(block, 0)
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_batch_set_vector(b.b, index, &block[0], C.size_t(d), &valid[0], err)
	})
}

// SetLabel sets a label: 0 or 1, a value, or the number of a class; NaN is not known and teaches nothing.
func (b *Batch) SetLabel(name string, values []float32) error {
	index, err := b.column(name, len(values), true)
	if err != nil {
		return err
	}
	labels, valid := make([]C.float, len(values)+1), make([]C.uint8_t, len(values)+1)
	for i, v := range values {
		if v == v {
			labels[i], valid[i] = C.float(v), 1
		}
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_batch_set_label(b.b, index, &labels[0], &valid[0], err)
	})
}

// SetTimes sets a time column; the zero Time is missing.
func (b *Batch) SetTimes(name string, times []time.Time) error {
	index, err := b.column(name, len(times), false)
	if err != nil {
		return err
	}
	micros, valid := make([]C.int64_t, len(times)+1), make([]C.uint8_t, len(times)+1)
	for i, t := range times {
		if !t.IsZero() {
			micros[i], valid[i] = C.int64_t(t.UnixMicro()), 1
		}
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_batch_set_time(b.b, index, &micros[0], &valid[0], err)
	})
}

// flat is lists of strings one after another: where each row's begin, and which rows are not missing (nil).
func flat(rows [][]string) (starts []C.size_t, strings []string, valid []C.uint8_t) {
	starts, valid = make([]C.size_t, len(rows)+1), make([]C.uint8_t, len(rows)+1)
	for i, row := range rows {
		strings = append(strings, row...)
		starts[i+1] = C.size_t(len(strings))
		if row != nil {
			valid[i] = 1
		}
	}
	return starts, strings, valid
}

// SetMulti sets a column of several values a row, each with its weight (weights nil: 1 each); a nil row is missing.
func (b *Batch) SetMulti(name string, rows [][]string, weights [][]float32) error {
	index, err := b.column(name, len(rows), false)
	if err != nil {
		return err
	}
	if weights != nil && len(weights) != len(rows) {
		return fmt.Errorf("%q: there are weights of %d rows, the batch has %d", name, len(weights), b.rows)
	}
	starts, strings, valid := flat(rows)
	given := make([]C.float, 0, len(strings)+1)
	for i, row := range weights {
		if len(row) != len(rows[i]) {
			return fmt.Errorf("%q: row %d has %d values and %d weights", name, i, len(rows[i]), len(row))
		}
		for _, w := range row {
			given = append(given, C.float(w))
		}
	}
	var each *C.float
	if weights != nil {
		each = &append(given, 0)[0]
	}
	bytes, lengths := packed(strings)
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.set_multi(b.b, index, &starts[0], (*C.char)(unsafe.Pointer(&bytes[0])), &lengths[0], C.size_t(len(strings)), each, &valid[0], err)
	})
}

// Event is one of what a user did before: the item, the type (below the field's event_types) and when.
type Event struct {
	Item string
	Type uint32
	Time time.Time
}

// SetHistory sets a history column, oldest event first; a nil row is missing, an empty one is known to be empty. Times count when all
// events have one; now (may be nil) is when each row is scored.
func (b *Batch) SetHistory(name string, rows [][]Event, now []time.Time) error {
	index, err := b.column(name, len(rows), false)
	if err != nil {
		return err
	}
	if now != nil && len(now) != len(rows) {
		return fmt.Errorf("%q: now has %d rows, the batch %d", name, len(now), b.rows)
	}
	items := make([][]string, len(rows))
	types, times, scored := []C.uint32_t{}, []C.int64_t{}, make([]C.int64_t, len(rows)+1)
	timed := true
	for i, row := range rows {
		if row != nil {
			items[i] = make([]string, 0, len(row))
		}
		for _, e := range row {
			items[i] = append(items[i], e.Item)
			types, times = append(types, C.uint32_t(e.Type)), append(times, C.int64_t(e.Time.UnixMicro()))
			timed = timed && !e.Time.IsZero()
		}
	}
	for i := range now {
		scored[i] = C.int64_t(now[i].UnixMicro())
	}
	starts, strings, valid := flat(items)
	bytes, lengths := packed(strings)
	types, times = append(types, 0), append(times, 0)
	var when, at *C.int64_t
	if timed {
		when = &times[0]
	}
	if now != nil {
		at = &scored[0]
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.set_history(b.b, index, &starts[0], (*C.char)(unsafe.Pointer(&bytes[0])), &lengths[0], C.size_t(len(strings)), &types[0], when, at, &valid[0], err)
	})
}

// whole says whether a column beside the fields has the batch's rows.
func (b *Batch) whole(what string, rows int) error {
	if rows != b.rows {
		return fmt.Errorf("there are %d %s for %d rows", rows, what, b.rows)
	}
	return nil
}

// SetWeights says how much each row counts.
func (b *Batch) SetWeights(weights []float32) error {
	if err := b.whole("weights", len(weights)); err != nil {
		return err
	}
	given := append(append([]float32{}, weights...), 0)
	return call(func(err *C.ecrec_error) C.int32_t { return C.ecrec_batch_set_weight(b.b, (*C.float)(&given[0]), err) })
}

// SetPositions says where each row stood in the list that was shown, from 1; 0 is not known.
func (b *Batch) SetPositions(positions []uint32) error {
	if err := b.whole("positions", len(positions)); err != nil {
		return err
	}
	given, valid := append(append([]uint32{}, positions...), 0), make([]C.uint8_t, b.rows+1)
	for i, p := range positions {
		if p != 0 {
			valid[i] = 1
		}
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_batch_set_position(b.b, (*C.uint32_t)(&given[0]), &valid[0], err)
	})
}

// SetPropensities says with which probability the policy that showed each row chose it; NaN is not known.
func (b *Batch) SetPropensities(propensities []float32) error {
	if err := b.whole("propensities", len(propensities)); err != nil {
		return err
	}
	given, valid := append(append([]float32{}, propensities...), 0), make([]C.uint8_t, b.rows+1)
	for i, p := range propensities {
		if p == p {
			valid[i] = 1
		}
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		return C.ecrec_batch_set_propensity(b.b, (*C.float)(&given[0]), &valid[0], err)
	})
}

// SetEvents names the event that each row tells of: late labels find it by that, and a row sent twice counts once.
func (b *Batch) SetEvents(ids []string) error { return b.ids("events", ids, false) }

// SetGroups names what was shown together: rows of one impression have the same id.
func (b *Batch) SetGroups(ids []string) error { return b.ids("groups", ids, true) }

func (b *Batch) ids(what string, ids []string, group bool) error {
	if err := b.whole(what, len(ids)); err != nil {
		return err
	}
	numbers := make([]C.uint64_t, len(ids)+1)
	for i, id := range ids {
		bytes, _ := packed([]string{id})
		numbers[i] = C.ecrec_id_hash(unsafe.Pointer(&bytes[0]), C.size_t(len(id)))
	}
	return call(func(err *C.ecrec_error) C.int32_t {
		if group {
			return C.ecrec_batch_set_group(b.b, &numbers[0], nil, err)
		}
		return C.ecrec_batch_set_event(b.b, &numbers[0], nil, err)
	})
}
