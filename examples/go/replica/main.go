// Replica serves a ranker while it follows a trainer by deltas.
//
//	replica RANKER.ecrec FOLDER [-once]
//
// A trainer puts each delta into the folder as NUMBER.delta (written beside, then renamed), NUMBER the snapshot that it leads to; the replica applies
// them in order, and goes on scoring meanwhile. With -once it ends when it has applied what is there, and prints its snapshot and state.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ecrec"
)

// deltas lists the folder's deltas behind a snapshot, in order.
func deltas(folder string, behind uint64) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	numbers := []uint64{}
	for _, e := range entries {
		number, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".delta"), 10, 64)
		if err == nil && strings.HasSuffix(e.Name(), ".delta") && number > behind {
			numbers = append(numbers, number)
		}
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	paths := make([]string, len(numbers))
	for i, n := range numbers {
		paths[i] = filepath.Join(folder, strconv.FormatUint(n, 10)+".delta")
	}
	return paths, nil
}

// follow applies what came; how many.
func follow(m *ecrec.Model, folder string) (int, error) {
	paths, err := deltas(folder, m.Snapshot())
	for i, path := range paths {
		bytes, err := os.ReadFile(path)
		if err != nil {
			return i, err
		}
		if _, err = m.Apply(bytes); err != nil {
			return i, fmt.Errorf("%s: %w", path, err)
		}
	}
	return len(paths), err
}

// serve scores one row again and again, as requests would.
func serve(m *ecrec.Model, stop *atomic.Bool, scored *atomic.Int64) {
	b, err := m.NewBatch(1)
	if err != nil {
		return
	}
	defer b.Close()
	for !stop.Load() {
		if _, err := m.Score(b); err != nil {
			fmt.Fprintln(os.Stderr, "replica:", err)
			return
		}
		scored.Add(1)
		time.Sleep(time.Millisecond)
	}
}

func run(path, folder string, once bool) error {
	context, err := ecrec.NewContext(1)
	if err != nil {
		return err
	}
	defer context.Close()
	m, err := context.Load(path)
	if err != nil {
		return err
	}
	defer m.Close()
	var stop atomic.Bool
	var scored atomic.Int64
	done := make(chan struct{})
	go func() {
		serve(m, &stop, &scored)
		close(done)
	}()
	applied := 0
	for err == nil {
		var n int
		if n, err = follow(m, folder); err != nil || (once && n == 0) {
			break
		}
		applied += n
		if n == 0 {
			time.Sleep(100 * time.Millisecond)
		}
	}
	stop.Store(true)
	<-done
	if err != nil {
		return err
	}
	state, err := m.State()
	fmt.Printf("applied %d, scored %d times meanwhile\nsnapshot %d\nstate %s\n", applied, scored.Load(), m.Snapshot(), state)
	return err
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: replica RANKER.ecrec FOLDER [-once]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], len(os.Args) > 3 && os.Args[3] == "-once"); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}
