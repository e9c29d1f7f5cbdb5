package ecrec

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const schema = `{"fields": [{"name": "title", "kind": "text", "no_encoding": true, "word_ngrams": 1}, {"name": "shop", "kind": "category"},
 {"name": "price", "kind": "number", "required": true}, {"name": "look", "kind": "vector", "dimension": 2}], "labels": ["click", "buy"], "hash_bits": 12}`

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, m *Model, labelled bool) *Batch {
	const rows = 64
	titles, shops, missing := make([]string, rows), make([]string, rows), make([]bool, rows)
	prices, looks, click, buy := make([]float64, rows), make([][]float32, rows), make([]float32, rows), make([]float32, rows)
	for i := range titles {
		titles[i] = []string{"red shoe", "blue hat", "", "grüner Hut"}[i%4]
		shops[i], missing[i] = []string{"north", "south", "east"}[i%3], i%5 == 0
		prices[i] = float64(i * 37 % 64)
		looks[i] = []float32{float32(i % 2), 1}
		if prices[i] < 32 {
			click[i] = 1
		}
		buy[i] = float32(math.NaN())
	}
	b, err := m.NewBatch(rows)
	fatal(t, err)
	fatal(t, b.SetStrings("title", titles, nil))
	fatal(t, b.SetStrings("shop", shops, missing))
	fatal(t, b.SetNumbers("price", prices))
	fatal(t, b.SetVectors("look", looks))
	if labelled {
		fatal(t, b.SetLabel("click", click))
		fatal(t, b.SetLabel("buy", buy))
	}
	return b
}

func TestRanker(t *testing.T) {
	context, err := NewContext(2)
	fatal(t, err)
	defer context.Close()
	m, err := context.NewRanker(schema, nil)
	fatal(t, err)
	defer m.Close()
	b := fill(t, m, true)
	defer b.Close()
	first, err := m.Score(b)
	fatal(t, err)
	if len(first) != 128 || first[0] != 0.5 {
		t.Fatalf("%d scores, the first is %v; a new ranker says 0.5", len(first), first[0])
	}
	before := m.Snapshot()
	report, err := m.Update(b)
	fatal(t, err)
	labels := report["labels"].(map[string]interface{})
	if report["rows"].(float64) != 64 || labels["buy"].(map[string]interface{})["rows"].(float64) != 0 {
		t.Fatalf("the report says %v", report)
	}
	after, err := m.Score(b)
	fatal(t, err)
	cheap, dear := 0.0, 0.0
	for i := 0; i < 64; i++ {
		if i*37%64 < 32 {
			cheap += float64(after[2*i])
		} else {
			dear += float64(after[2*i])
		}
		if after[2*i+1] != 0.5 {
			t.Fatalf("row %d: a label that is not known has taught %v", i, after[2*i+1])
		}
	}
	if cheap <= dear {
		t.Fatalf("cheap rows %v, dear rows %v: nothing was learned", cheap, dear)
	}
	path := filepath.Join(t.TempDir(), "r.ecrec")
	fatal(t, m.Save(path))
	again, err := context.Load(path)
	fatal(t, err)
	defer again.Close()
	var group sync.WaitGroup
	for g := 0; g < 4; g++ { // goroutines share a model
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 20; i++ {
				scores, err := again.Score(b)
				if err != nil || scores[0] != after[0] || scores[126] != after[126] {
					t.Errorf("a loaded ranker scores %v, %v", scores, err)
				}
			}
		}()
	}
	group.Wait()
	fatal(t, m.Rollback(before))
	back, err := m.Score(b)
	fatal(t, err)
	for i := range back {
		if back[i] != first[i] {
			t.Fatal("the rollback did not give the first scores")
		}
	}
}

func TestErrors(t *testing.T) {
	context, err := NewContext(1)
	fatal(t, err)
	defer context.Close()
	var e *Error
	if _, err = context.Load("/nowhere/model.ecrec"); !errors.As(err, &e) || e.Name != "ECREC_ERR_IO" || !strings.Contains(e.Error(), "/nowhere/model.ecrec") {
		t.Fatalf("a missing file gives %v", err)
	}
	if _, err = context.NewRanker(`{"fields": []`, nil); !errors.As(err, &e) {
		t.Fatalf("a broken schema gives %v", err)
	}
	m, err := context.NewRanker(schema, nil)
	fatal(t, err)
	defer m.Close()
	b := fill(t, m, false)
	defer b.Close()
	fatal(t, b.SetNumbers("price", append(make([]float64, 63), math.NaN())))
	if _, err = m.Score(b); !errors.As(err, &e) || e.Row != 63 || !strings.Contains(e.Error(), "price") {
		t.Fatalf("a missing price gives %v", err)
	}
	if err = b.SetNumbers("pirce", make([]float64, 64)); err == nil {
		t.Fatal("an unknown field was taken")
	}
	if err = b.SetNumbers("price", make([]float64, 63)); err == nil {
		t.Fatal("a short column was taken")
	}
	if err = b.SetNumbers("title", make([]float64, 64)); !errors.As(err, &e) {
		t.Fatalf("numbers for a text give %v", err)
	}
	if _, err = m.Encode([]string{"a"}); !errors.As(err, &e) || e.Name != "ECREC_ERR_UNSUPPORTED" {
		t.Fatalf("encoding without an encoder gives %v", err)
	}
	if _, err = m.Update(b); err != nil && !errors.As(err, &e) {
		t.Fatalf("an update without labels gives %v", err)
	}
}

func TestEncode(t *testing.T) {
	path := os.Getenv("ECREC_TEST_MODEL")
	if path == "" {
		t.Skip("ECREC_TEST_MODEL names no model")
	}
	context, err := NewContext(2)
	fatal(t, err)
	defer context.Close()
	m, err := context.Load(path)
	fatal(t, err)
	defer m.Close()
	texts := []string{"warm clothes for winter", "wool jumper", "garden hose", "", "Größe \xff"}
	vectors, err := m.Encode(texts)
	fatal(t, err)
	if len(vectors) != 5 || len(vectors[0]) != m.Dimension() || math.Abs(Dot(vectors[0], vectors[0])-1) > 1e-5 {
		t.Fatalf("%d vectors of %d", len(vectors), len(vectors[0]))
	}
	if Dot(vectors[0], vectors[1]) <= Dot(vectors[0], vectors[2]) {
		t.Fatal("a garden hose is warmer than a jumper")
	}
	alone, err := m.Encode(texts[1:2])
	fatal(t, err)
	for i := range alone[0] {
		if alone[0][i] != vectors[1][i] {
			t.Fatal("a text's vector depends on its batch")
		}
	}
	none, err := m.Encode(nil)
	if err != nil || len(none) != 0 {
		t.Fatalf("no texts give %v, %v", none, err)
	}
}

const every = `{"fields": [{"name": "who", "kind": "user"}, {"name": "what", "kind": "item"}, {"name": "tags", "kind": "multi"}, {"name": "when", "kind": "time"},
 {"name": "past", "kind": "history", "dimension": 8, "compare": "what", "event_types": 2}, {"name": "photo", "kind": "image", "dimension": 2}],
 "labels": [{"name": "kind", "kind": "classes", "classes": 3}], "network": {"width": 4, "attention": 4}, "hash_bits": 12}`

// Every kind of column says something that a ranker can learn from: the class is told by one column alone in each round.
func TestColumns(t *testing.T) {
	context, err := NewContext(1)
	fatal(t, err)
	defer context.Close()
	const rows = 96
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, told := range []string{"who", "what", "tags", "when", "past", "photo"} {
		m, err := context.NewRanker(every, nil)
		fatal(t, err)
		defer m.Close()
		b, err := m.NewBatch(rows)
		fatal(t, err)
		defer b.Close()
		names, items, tags, weights := make([]string, rows), make([]string, rows), make([][]string, rows), make([][]float32, rows)
		times, past, now := make([]time.Time, rows), make([][]Event, rows), make([]time.Time, rows)
		photos, labels := make([][]float32, rows), make([]float32, rows)
		of := func(column string, class int) int {
			if column == told {
				return class
			}
			return 0
		}
		for i := range labels {
			class := i * 7 % 3
			labels[i] = float32(class)
			names[i] = []string{"ann", "bob", "cy"}[of("who", class)]
			items[i] = []string{"shoe", "hat", "bag"}[of("what", class)]
			tags[i], weights[i] = [][]string{{"red", "new"}, {"blue"}, nil}[of("tags", class)], [][]float32{{1, .5}, {2}, nil}[of("tags", class)]
			times[i] = start.Add(time.Duration(of("when", class)*5) * time.Hour)
			if told == "when" && class == 2 {
				times[i] = time.Time{}
			}
			now[i] = start.Add(24 * time.Hour)
			past[i] = [][]Event{{{"shoe", 0, start}, {"hat", 1, start.Add(time.Hour)}}, {{"bag", 1, start}}, {}}[of("past", class)]
			photos[i] = [][]float32{{1, 0}, {0, 1}, nil}[of("photo", class)]
		}
		fatal(t, b.SetStrings("who", names, nil))
		fatal(t, b.SetStrings("what", items, nil))
		fatal(t, b.SetMulti("tags", tags, weights))
		fatal(t, b.SetTimes("when", times))
		fatal(t, b.SetHistory("past", past, now))
		fatal(t, b.SetVectors("photo", photos))
		fatal(t, b.SetLabel("kind", labels))
		ones, positions := make([]float32, rows), make([]uint32, rows)
		for i := range ones {
			ones[i], positions[i] = 1, uint32(i%3)
		}
		fatal(t, b.SetWeights(ones))
		fatal(t, b.SetPropensities(ones))
		fatal(t, b.SetPositions(positions))
		fatal(t, b.SetGroups(names))
		for pass := 0; pass < 12; pass++ {
			_, err = m.Update(b)
			fatal(t, err)
		}
		scores, err := m.Score(b)
		fatal(t, err)
		if len(scores) != 3*rows {
			t.Fatalf("%d scores of %d rows and 3 classes", len(scores), rows)
		}
		right := 0
		for i := range labels {
			p, class := scores[3*i:3*i+3], int(labels[i])
			if p[class] > p[(class+1)%3] && p[class] > p[(class+2)%3] {
				right++
			}
		}
		if right < rows*9/10 {
			t.Errorf("told by %q alone: %d of %d right", told, right, rows)
		}
	}
}

// An event that is sent again counts once; what does not fit is refused with a sentence.
func TestRowColumns(t *testing.T) {
	context, err := NewContext(1)
	fatal(t, err)
	defer context.Close()
	m, err := context.NewRanker(every, nil)
	fatal(t, err)
	defer m.Close()
	b, err := m.NewBatch(2)
	fatal(t, err)
	defer b.Close()
	var e *Error
	for what, err := range map[string]error{
		"weights":      b.SetWeights([]float32{1}),
		"positions":    b.SetPositions([]uint32{1, 2, 3}),
		"propensities": b.SetPropensities(nil),
		"events":       b.SetEvents([]string{"a"}),
		"groups":       b.SetGroups(nil),
		"tags":         b.SetMulti("tags", [][]string{{"a"}, {"b"}}, [][]float32{{1}, {1, 2}}),
		"past":         b.SetHistory("past", [][]Event{{}, {}}, []time.Time{{}}),
		"photo":        b.SetVectors("photo", [][]float32{{1, 2}, {1}}),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s that do not fit: %v", what, err)
		}
	}
	if err := b.SetPropensities([]float32{.5, 2}); !errors.As(err, &e) || e.Row != 1 {
		t.Errorf("a propensity of 2: %v", err)
	}
	if err := b.SetTimes("who", make([]time.Time, 2)); !errors.As(err, &e) || e.Name != "ECREC_ERR_INVALID" {
		t.Errorf("times in a user column: %v", err)
	}
}
